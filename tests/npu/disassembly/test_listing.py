"""A listing shows the operations of the stream: each register, name and figure can be traced to its source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import ethosu.vela.ethos_u55_regs.ethos_u55_regs as vela_registers
import numpy as np
import pytest

from hil.core.errors import StreamError
from hil.npu.arithmetic.scaling import scale_records
from hil.npu.disassembly.instruction import Instruction, as_record
from hil.npu.disassembly.listing import Listing, list_compiled, list_payload
from hil.npu.disassembly.memory_contents import Contents
from hil.npu.disassembly.register_fields import FIELDS, describe
from hil.npu.disassembly.text import WIDTH, lines
from hil.npu.program import decode
from hil.npu.stream.commands import Op, decode_commands
from hil.npu.stream.operations import SCALE_RECORD, BlockOperation, Convolution, Dma, Kind, Operation, Range, Wait
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import CompiledModel, NpuOperator, read_compiled
from hil.npu.weights.codec import decode_weight_stream
from hil.npu.weights.order import layout_of, unpack
from tests.support.operators.builder import Op as Operator
from tests.support.operators.builder import Tensor, build

Vela = Callable[..., bytes]
Models = Callable[[str], bytes]


def payload_of(model: CompiledModel) -> bytes:
    operator = model.main.operators[0]
    assert isinstance(operator, NpuOperator)
    data = model.main.tensors[operator.command_stream].data
    assert data is not None
    return data.tobytes()


@pytest.fixture(scope="module")
def model(vela: Vela, small_models: Models) -> CompiledModel:
    return read_compiled(vela(small_models("misc"), "ethos-u55-128"))


@pytest.fixture(scope="module")
def listing(model: CompiledModel) -> Listing:
    (found,) = list_compiled(model)
    return found


def test_registers_add_up_to_what_every_operation_sees(model: CompiledModel, listing: Listing) -> None:
    _, words = parse_payload(payload_of(model))
    commands = {command.word_offset: command for command in decode_commands(words)}
    registers: dict[str, int] = {}
    for instruction in listing.instructions:
        for write in instruction.registers:
            registers[write.register] = write.value
            if write.shift is not None:
                registers[f"{write.register}_SHIFT"] = write.shift
        command = commands.pop(instruction.operation.word_offset)
        if not isinstance(instruction.operation, Wait):
            seen = command.registers
            assert {name: seen[name] for name in registers} == registers
            assert not any(value for name, value in seen.items() if name not in registers)
    assert {command.op for command in commands.values()} <= {Op.STOP, Op.IRQ}


def test_inputs_and_outputs_have_the_files_names(model: CompiledModel, listing: Listing) -> None:
    inputs = {name for instruction in listing.instructions for names in instruction.inputs for name in names}
    assert model.main.tensors[model.main.inputs[0]].name in inputs
    named = [instruction.output for instruction in listing.instructions if instruction.output]
    assert set(named) == {model.main.tensors[model.main.outputs[0]].name}


def test_what_an_operation_reads_is_what_the_named_one_wrote(listing: Listing) -> None:
    """Through every `#n` the same bytes, and nobody wrote them in between."""
    followed = 0
    instructions = listing.instructions
    for instruction in instructions:
        operation = instruction.operation
        if not isinstance(operation, BlockOperation) or len(instruction.inputs[0]) != 1:
            continue
        (label,) = instruction.inputs[0]
        if label.startswith("#"):
            source = instructions[int(label[1:])].operation
            assert isinstance(source, BlockOperation)
            assert source.ofm.address <= operation.ifm.address < source.ofm.extent()[1]
            between = [found.operation for found in instructions[int(label[1:]) + 1 : instruction.index]]
            assert not any(touches(other, operation.ifm.address) for other in between)
            followed += 1
    assert followed > 5


def touches(operation: Operation, address: int) -> bool:
    if isinstance(operation, BlockOperation):
        low, high = operation.ofm.extent()
        return low <= address < high
    return isinstance(operation, Dma) and any(
        start <= address < start + operation.length for start in operation.destinations if operation.destination_region
    )


def test_weights_and_scales_are_those_that_run(model: CompiledModel, listing: Listing) -> None:
    operator = model.main.operators[0]
    assert isinstance(operator, NpuOperator)
    constants = model.main.tensors[operator.read_only].data
    assert constants is not None
    seen = 0
    for instruction in listing.instructions:
        operation = instruction.operation
        if not isinstance(operation, Convolution):
            continue
        (figures,), (records,) = instruction.weights, instruction.records
        place = figures.origin or operation.weights
        assert place.region == 0
        encoded = constants[place.address : place.end].tobytes()
        weights = unpack(decode_weight_stream(encoded), layout_of(operation, listing.accelerator))
        assert (figures.place, figures.elements) == (operation.weights, weights.size)
        assert figures.zeros == int((weights == 0).sum())
        size = SCALE_RECORD * len(weights)  # Vela lays the records in front of the weights, which begin at 16 bytes.
        bias, factor, shift = scale_records(constants[place.address - -(-size // 16) * 16 :][:size])
        assert records.count == operation.ofm.shape[2]
        assert records.bias == (bias.min(), bias.max())
        assert records.scale is not None
        assert records.scale[1] == max(int(f) / 2.0 ** int(s) for f, s in zip(factor, shift, strict=True))
        seen += figures.origin is not None
    assert seen, "no weights were copied by a DMA; take another model"


def test_two_cores_share_the_channels(vela: Vela, small_models: Models) -> None:
    """On an Ethos-U65-512 each core has a stream of its own: even channels in the one, odd ones in the other."""
    data = small_models("misc")
    one, two = (
        list_compiled(read_compiled(vela(data, name, "Shared_Sram")))[0] for name in ("ethos-u65-256", "ethos-u65-512")
    )
    for listing, cores in ((one, 1), (two, 2)):
        convolutions = [found for found in listing.instructions if isinstance(found.operation, Convolution)]
        assert convolutions
        for found in convolutions:
            depth = found.operation.ofm.shape[2]
            assert len(found.weights) == len(found.records) == min(cores, depth)
            assert sum(records.count for records in found.records) == depth
            assert all(figures.zeros is not None for figures in found.weights)
            assert ("weights1 " in "\n".join(lines(found))) == (cores == 2)


def test_a_copy_names_its_user(listing: Listing) -> None:
    copies = [found for found in listing.instructions if found.operation.kind is Kind.DMA]
    assert copies
    for copy in copies:
        assert copy.used_by is not None
        assert copy.used_by > copy.index


@pytest.mark.parametrize(
    ("network", "options", "parts"),
    [
        ("cnn", (), ("depthwise 5x3", "stride 2", "pad 0 0 1 1", "average_pool 3x3", "table    shram:", "constant ")),
        ("misc", (), ("dilation 2", "upscale zeros", "strides y ", "depth-first")),
        ("wide", ("--optimise", "Size"), ("conv 3x3", "ofm      1x16x48")),
        ("cnn-int16", (), ("40-bit accumulators", "int16 ", "interpolated")),
    ],
)
def test_lines_fit_and_say_it(
    vela: Vela, small_models: Models, network: str, options: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    compiled = read_compiled(vela(small_models(network), "ethos-u55-128", "Shared_Sram", *options))
    (listing,) = list_compiled(compiled)
    text = [line for found in listing.instructions for line in lines(found, registers=True)]
    assert max(map(len, text)) <= WIDTH
    narrow = [line for found in listing.instructions for line in lines(found, registers=True, width=80)]
    assert max(map(len, narrow)) <= 80
    assert " ".join(narrow).split() == " ".join(text).split()  # no word is cut
    for part in parts:
        assert part in "\n".join(text)


def test_every_field_is_in_the_record(listing: Listing) -> None:
    for instruction in listing.instructions:
        record = json.loads(json.dumps(as_record(instruction)))
        for name in vars(instruction.operation):
            assert name in record
    convolution = next(found for found in listing.instructions if found.operation.kind is Kind.CONV)
    record = as_record(convolution)
    assert record["ifm"]["dtype"] == "int8"
    assert record["rounding"] == "tfl"
    assert record["kernel"]["height"] == 3


def test_a_bare_payload_can_be_read(model: CompiledModel, listing: Listing) -> None:
    bare = list_payload(payload_of(model))
    assert [kinds(found) for found in bare.instructions] == [kinds(found) for found in listing.instructions]
    assert all(figures.zeros is None for found in bare.instructions for figures in found.weights)
    assert lines(bare.instructions[0])
    with pytest.raises(StreamError, match="does not start with COP1"):
        list_payload(b"no payload at all")


def kinds(instruction: Instruction) -> tuple[Kind, int]:
    return instruction.operation.kind, instruction.operation.word_offset


def test_damaged_streams_are_listed_or_refused_at_a_word(model: CompiledModel) -> None:
    payload = payload_of(model)
    generator = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        damaged = bytearray(payload)
        for position in generator.integers(32, len(damaged), 2):
            damaged[position] ^= 1 << int(generator.integers(8))
        try:
            for instruction in list_payload(bytes(damaged)).instructions:
                lines(instruction, registers=True)
        except StreamError as error:
            refused += error.word_offset is not None
    assert refused > 20


def test_fields_are_velas() -> None:
    """Names, places and values of bit fields, as Vela's generated module has them."""
    enumerations = {
        "precision": {"IFM": vela_registers.ifm_precision, "OFM": vela_registers.ofm_precision},
        "format": vela_registers.data_format,
        "scale_mode": vela_registers.ifm_scale_mode,
        "round_mode": vela_registers.rounding,
        "rounding": vela_registers.rounding,
        "stride_mode": vela_registers.stride_mode,
        "act_clip_range": vela_registers.clip_range,
        "mode": vela_registers.resampling_mode,
        "acc_format": vela_registers.acc_format,
    }
    for register, fields in FIELDS.items():
        if register != "KERNEL_STRIDE":  # its bits have no names there
            layout, low = {}, -16
            structure = getattr(vela_registers, f"npu_set_{register.lower()}_t")
            for name, _, width in structure._fields_:
                layout["acc_format" if (register, name) == ("ACC_FORMAT", "param") else name] = (low, width)
                low += width
            assert {field.name: (field.low, field.width) for field in fields}.items() <= layout.items()
        for field in fields:
            known: Any = enumerations.get(field.name)
            if known is not None:
                known = known[register[:3]] if isinstance(known, dict) else known
                assert dict(field.values) == {entry.value: entry.name for entry in known}
    activation = {entry.name: entry.value for entry in vela_registers.activation}
    assert describe("ACTIVATION", activation["LUT_START"]).startswith("type LUT 0")
    assert describe("ACTIVATION", activation["TANH"]).startswith("type TANH")
    assert describe("KERNEL_STRIDE", 1 << 6 | 1 << 2).startswith("stride_x_lsb 0, stride_y_lsb 0, weight_order PART")


def test_contents_follow_overlapping_writes_and_copies() -> None:
    contents = Contents()
    contents.put(Range(1, 0, 100), "a")
    contents.put(Range(1, 40, 20), "b", origin=Range(0, 1000, 20))
    assert contents.labels(Range(1, 0, 100)) == ("a", "b")
    assert contents.labels(Range(1, 30, 10)) == ("a",)
    assert contents.labels(Range(1, 100, 10)) == contents.labels(Range(2, 0, 10)) == ()
    assert contents.origin(Range(1, 44, 8)) == Range(0, 1004, 8)
    assert contents.origin(Range(1, 30, 20)) is None
    contents.put(Range(1, 50, 60), "c")
    assert contents.origin(Range(1, 40, 10)) == Range(0, 1000, 10)
    assert contents.labels(Range(1, 39, 12)) == ("a", "b", "c")


def test_a_program_runs_what_is_listed(model: CompiledModel, listing: Listing) -> None:
    accelerator, words = parse_payload(payload_of(model))
    operator = model.main.operators[0]
    assert isinstance(operator, NpuOperator)
    constants = model.main.tensors[operator.read_only].data
    assert constants is not None
    program = decode(words, accelerator, {0: constants}, {2: 1})
    assert program.operations == tuple(found.operation for found in listing.instructions)


@pytest.mark.parametrize("scaled", ["a", "b"])
def test_the_factor_of_the_one_operand_that_is_scaled_is_shown(vela: Vela, scaled: str) -> None:
    """Of two scales the smaller is brought to the larger, by the same register for either operand."""
    scales = (0.05, 0.2) if scaled == "a" else (0.2, 0.05)
    x, y = (Tensor((1, 4, 4, 8), "int8", scale) for scale in scales)
    model = read_compiled(vela(build(Operator("ADD", (x, y), (Tensor((1, 4, 4, 8), "int8", 0.25),))), "ethos-u55-128"))
    (found,) = list_compiled(model)
    printed = "\n".join(line for instruction in found.instructions for line in lines(instruction))
    (text,) = re.findall(r"operands +(.*)", printed)
    factor = re.search(rf"{scaled} x ([\d.e+-]+) = [\d,]+ / 2\^\d+", text)
    assert factor is not None, text
    assert float(factor[1]) == pytest.approx(0.05 / (2 * 0.2) * 2**20, rel=1e-4)
    assert f"{'b' if scaled == 'a' else 'a'} shifted only" in text
