"""What a target is: its machine, memory and runtimes, and how files are made for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.types import Conversion


@dataclass(frozen=True)
class Runtime:
    """A runtime that a target may meet: its edgekit name, package and pinned version.

    ``version`` is what edgekit judges by and pins; ``versions`` is the range that an application
    may have, empty where it is only that one. ``manager`` says whose package it is. ``kernels`` is
    the runtime of the table of operator versions whose kernels it has, empty where that is unknown.
    ``loads`` is what it takes: a ``.tflite`` file, or a SavedModel. ``python`` are the Pythons that
    its version has wheels for, as requires-python has them; empty where that is not known.
    """

    name: str
    package: str
    version: str
    requires: tuple[str, ...]
    note: str
    versions: str = ""
    manager: str = "pip"
    kernels: str = ""
    loads: str = "tflite"
    python: str = ""


@dataclass(frozen=True)
class Npu:
    """An accelerator that a model is compiled for: the compiler (a pip package, or a command).

    ``system_config`` and ``memory_mode`` are the compiler's own names; empty for its defaults.
    """

    compiler: str
    accelerator: str
    system_config: str = ""
    memory_mode: str = ""


@dataclass(frozen=True)
class Cpu:
    """The processor that runs a model: its name, cores, clock as its datasheet has it, and what
    its instruction set has beyond the minimum.
    """

    name: str
    cores: int | None = None
    clock: str = ""
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetMemory:
    """Bytes of a target; None where its documentation does not say, or says no limit.

    ``ram`` and ``flash`` are all that the smallest variant has. ``model_ram`` and ``model_flash``
    are what a model may take of that, where it is less.
    """

    ram: int | None = None
    flash: int | None = None
    model_ram: int | None = None
    model_flash: int | None = None

    @property
    def most_ram(self) -> int | None:
        """What activations, or the arena, may take."""
        return self.ram if self.model_ram is None else self.model_ram

    @property
    def most_flash(self) -> int | None:
        """What the file may take."""
        return self.flash if self.model_flash is None else self.model_flash


@dataclass(frozen=True)
class Target:
    """A kind of device: what it is, the runtimes it may meet, how files and bundles are made.

    ``processors`` are those of a microcontroller, as firmware names them. ``boards`` are what the
    name of its board begins with, where a target is of one kind of board only. Of ``bundles``, the
    kinds of bundle, the first is the default. ``aliases`` are further names that it is called by,
    ``precisions`` the ones it runs best, best first, ``io`` the dtypes that inputs and outputs may
    have (empty: any), ``reached`` how one usually gets at it. Without ``free_sizes`` every size of
    a model must be fixed. ``sources`` names a document by the field that it speaks of.
    """

    id: str
    title: str
    system: str
    machine: str
    bundles: tuple[str, ...]
    runtimes: tuple[Runtime, ...]
    notes: tuple[str, ...]
    npu: Npu | None = None
    conversion: Conversion = field(default_factory=Conversion)
    processors: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    cpu: Cpu | None = None
    memory: TargetMemory = field(default_factory=TargetMemory)
    precisions: tuple[str, ...] = ()
    io: tuple[str, ...] = ()
    free_sizes: bool = True
    delegates: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def bundle(self) -> str:
        """The kind of bundle that it gets where none is asked for."""
        return self.bundles[0]
