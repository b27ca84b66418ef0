"""The programs that can play the FVP, and how they get here: one file for each step.

=========== ==================================================================================
module      what
=========== ==================================================================================
search      where Arm's executables are on a machine
starting    whether one starts, its version, and the cures of the known start failures
container   the Docker side: daemon, limits, what killed runs left behind
session     one program in a container, from its input bytes to its output bytes
image       the image that has an FVP, and what that FVP is
contained   an executable with the FVP's command line that runs another one in a container
archive     Arm's archive: the pinned versions, download, verification, unpacking
install     Arm's archive, installed by its own installer
shim        launchers with Arm's names that start the open executable
=========== ==================================================================================

`hil.fvp.engines.engine` chooses among them.
"""
