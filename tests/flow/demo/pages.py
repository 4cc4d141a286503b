"""A server of the page whose machine is the integer model, as a program of its own: the browser's tests start it."""

__all__ = ["SERVER"]

SERVER = """
import socket
import sys
from contextlib import contextmanager

import uvicorn
from vitric.compiler.compile import compile_model
from vitric.flow.demo.answers import Answers
from vitric.flow.demo.app import application
from vitric.flow.demo.service import ProjectService
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project

from tests.flow.demo.golden import Golden

project = open_project("digits")
model = integer_model(project)
answers = Answers(project=project, model=model, compiled=compile_model(model, project.spec), clock_mhz=50.0)


@contextmanager
def machine():
    yield Golden(model, int(sys.argv[2]))


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(f"open http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
with ProjectService(answers, machine()) as service:
    uvicorn.Server(uvicorn.Config(application(service), log_level="warning")).run(sockets=[listener])
"""
