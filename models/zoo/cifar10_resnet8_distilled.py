"""ResNet8 on CIFAR-10 with few and equal weights, whose accuracy is recovered by distillation from the float base.

The network, base and data of `cifar10_resnet8.py`.  75 % of its weights become zeros, fewer in layers that are
sensitive to it, and 16 values are left in a kernel.  Every technique is trained to give the base's outputs, softened by
a temperature, beside the labels.  Source of the loss: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural
Network", arXiv 1503.02531.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hil.harness.model import FineTune, Recipe, sibling

if TYPE_CHECKING:
    from hil.harness.optimize.training_job import TrainingJob

resnet8 = sibling(__file__, "cifar10_resnet8.py").model

TEMPERATURE = 4.0
OF_TEACHER = 0.9
"""Share of the base's outputs in the loss; the rest is the labels'."""
SMALLEST = 1e-7
"""Smallest probability whose logarithm is taken, as in Keras' cross-entropies."""


def distill(job: TrainingJob) -> None:
    """Trains by Adam on the labels and on the softened outputs of the float base; the base itself as usual."""
    if job.teacher is None:
        job.fit()
    else:
        _fit_to_teacher(job)


def _fit_to_teacher(job: TrainingJob) -> None:
    import tensorflow as tf
    import tf_keras

    cross_entropy = tf_keras.losses.categorical_crossentropy

    def softened(probabilities: Any) -> Any:
        return tf.nn.softmax(tf.math.log(tf.maximum(probabilities, SMALLEST)) / TEMPERATURE)

    def with_teacher(x: Any, labels: Any) -> Any:
        taught = job.teacher(x, training=False)
        return x, tf.stack([tf.one_hot(labels, taught.shape[-1]), softened(taught)], axis=1)

    def loss(truth: Any, outputs: Any) -> Any:
        of_labels = cross_entropy(truth[:, 0], outputs)
        of_teacher = TEMPERATURE**2 * cross_entropy(truth[:, 1], softened(outputs))  # else its gradient fades
        return OF_TEACHER * of_teacher + (1 - OF_TEACHER) * of_labels

    job.model.compile(tf_keras.optimizers.Adam(job.schedule()), loss)
    job.model.fit(
        job.batches.as_dataset().map(with_teacher),
        steps_per_epoch=job.steps_per_epoch,
        epochs=job.settings.epochs,
        callbacks=list(job.callbacks),
        verbose=0,
    )


model = replace(
    resnet8,
    name="cifar10_resnet8_distilled",
    techniques=("ptq", "pcqat", "npu_pcqat"),
    recipe=Recipe(
        batch_size=64,
        base=resnet8.recipe.base,
        sparsity=0.75,
        sparsity_by="sensitivity",
        clusters=16,
        train=distill,
        prune=FineTune(epochs=6, learning_rate=1e-3),
        sparse_cluster=FineTune(epochs=2, learning_rate=3e-4),
        pcqat=FineTune(epochs=2, learning_rate=2e-4),
    ),
)
