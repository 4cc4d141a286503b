"""`vitric demo`: the hardware in a browser.

torch and the server are imported where they are used, so that ``--help`` is quick.
"""

import secrets
from contextlib import suppress
from typing import Annotated

import typer
from vitric.golden.errors import UserError

from ..inputs.options import Baud, ProjectName
from ..reports.console import console

__all__ = ["demo_command"]

_HOME = ("127.0.0.1", "::1", "localhost")


def demo_command(
    project: ProjectName = None,
    port: Annotated[
        str | None, typer.Option(help="Serial port of a board that runs the images instead, for example /dev/ttyUSB0.")
    ] = None,
    baud: Baud = 1_000_000,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Any but this machine's own needs a token, which is in the "
                          "address that is shown.")] = "127.0.0.1",
    web_port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: any that is free.")] = 8060,
) -> None:
    """Show the hardware in a browser: draw or drop a picture, see what the generated accelerator makes of it.

    The picture goes through the accelerator under Verilator, or with --port through a board, and through the integer
    model: the page shows class, logits, whether they are equal, cycles, and what each engine did. Ctrl-C ends it.
    """
    import socket

    import uvicorn
    from vitric.compiler.compile import compile_model

    from ..demo.answers import Answers
    from ..demo.app import application
    from ..demo.machines import board_machine, simulated_machine
    from ..demo.service import ProjectService
    from ..project.integer import integer_model
    from ..project.project import open_project

    work = open_project(project)
    model = integer_model(work)
    compiled = compile_model(model, work.spec)
    answers = Answers(project=work, model=model, compiled=compiled, clock_mhz=work.clock_mhz)
    machine = simulated_machine(work, compiled) if port is None else board_machine(work, compiled, port, baud)
    token = None if host in _HOME else secrets.token_urlsafe(16)
    try:
        listener = socket.create_server((host, web_port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UserError(f"cannot listen at {host}, --web-port {web_port}: {error.strerror}") from error
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}/" + (f"?token={token}" if token else "")
    with listener, ProjectService(answers, machine) as service:
        console().print(f"open {address}   (Ctrl-C ends it)", markup=False, soft_wrap=True)
        settings = uvicorn.Config(application(service, token), log_level="warning", access_log=False, lifespan="off")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[listener])
