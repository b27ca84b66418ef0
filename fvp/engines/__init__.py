"""The programs that can play the FVP, and their installation: one file for each step.

================= ============================================================================
module            content
================= ============================================================================
search            the search for Arm's executables on a machine
startup           start of an executable: its version, the cures of known start failures
container         the Docker side: daemon, limits, removal of what killed runs left behind
container_session one program in a container, from its input bytes to its output bytes
image             the image that has an FVP, and the version of that FVP
container_program an executable with the FVP's command line that runs another in a container
archive           Arm's archive: pinned versions, download, verification, unpacking
installer         Arm's archive, installed by its own installer
shim              launchers with Arm's names that start the open executable
================= ============================================================================

`hil.fvp.engines.engine` chooses among them.
"""
