"""Profile of a compiled model: a row for each layer, with what bounds it, from the timing model.

    from hil.harness.profile.compiled_profile import profile_compiled

    profile = profile_compiled(compiled.model, settings, "resnet8.tflite", source=source_of(compiled, int8))
    profile.cycles, [(layer.title, layer.cycles, layer.bound) for layer in profile.layers]

`layer` the values · `compiled_profile` makes them of a Vela output, `layer_rows` by layer, `timeline` as spans ·
`charges` cycles of the timeline by operation · `ownership` operations by layer · `live_memory` SRAM in use ·
`weight_figures` encoded weights · `cpu_reasons` operators on the CPU and why · `stored_profile` JSON · `columns`,
`totals`, `text_report` the table
"""
