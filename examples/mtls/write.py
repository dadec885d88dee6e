#!/usr/bin/env python3
"""Creates teams as an administrator that has a certificate, on a new connection for every tenth, until it is told to stop
by a line on standard input; then one named "last": write.py SERVER CA CERT KEY
"""

import sys
import threading

import grpc
from tollgate.v1.hierarchy_pb2 import Team
from tollgate.v1.team_service_pb2 import CreateTeamRequest
from tollgate.v1.team_service_pb2_grpc import TeamServiceStub

server, *paths = sys.argv[1:]
root, cert, key = (open(path, "rb").read() for path in paths)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()

count = 0
while not stop.is_set():
    with grpc.secure_channel(server, grpc.ssl_channel_credentials(root, key, cert)) as channel:
        teams = TeamServiceStub(channel)
        for _ in range(10):
            teams.CreateTeam(CreateTeamRequest(team=Team(name=f"team {count}")), timeout=20)
            count += 1
with grpc.secure_channel(server, grpc.ssl_channel_credentials(root, key, cert)) as channel:
    TeamServiceStub(channel).CreateTeam(CreateTeamRequest(team=Team(name="last")), timeout=20)
print(f"python: created {count} teams")
