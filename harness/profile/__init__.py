"""Profile of a compiled model: a row for each layer, with what bounds it, from the timing model.

    from hil.harness.profile.profiled_model import ProfiledModel, profile_of

    profile = profile_of(ProfiledModel("resnet8.tflite", int8), settings)
    profile.cycles, [(layer.title, layer.cycles, layer.bound) for layer in profile.layers]

`profile`, `layer` the values, `layer_group` some layers together, `layer_limits` their limits · `profiled_model`
compiles and profiles · `compiled_profile` profiles a Vela output, `layer_rows` by layer, `timeline` as spans · `source`
what Vela says of it · `charges` cycles of the timeline by operation · `ownership` operations by layer · `live_memory`
SRAM in use · `weight_figures` encoded weights · `cpu_reasons` operators on the CPU and why · `columns`, `totals`,
`text_report`, `csv_file`, `stored_profile` (JSON), `page`, `drawings`, `picture` the forms · `comparison` two profiles
· `trace_events` a file for Perfetto · `npu_settings`, `modelled_cost`, `modelled_cycles` other settings
and their cost · `changes` what would move the cycles · `sweep`, `sweep_table` every accelerator and memory
"""
