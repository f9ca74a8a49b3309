#!/usr/bin/env python3
"""nova.py WHAT: asks Nova for what stands on its input, and answers with JSON.

Keystone gives a token for an application credential and says where Nova is. The token is in this process alone: in the
result of an action everybody would see it.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ANSWER_S = 10
# From here on services have ids that are the same in all cells.
VERSION = "2.53"
LOOK_EVERY_S = 1
FAILURES_MAX = 10


class Failed(Exception):
    pass


class Nova:
    def __init__(self):
        secret = {"id": os.environ["CREDENTIAL_ID"], "secret": os.environ["CREDENTIAL_SECRET"]}
        identity = {"methods": ["application_credential"], "application_credential": secret}
        self.token, self.url = None, os.environ["KEYSTONE_URL"].rstrip("/")
        headers, body = self.ask("POST", "/v3/auth/tokens", {"auth": {"identity": identity}})
        compute = [service for service in body["token"]["catalog"] if service["type"] == "compute"]
        public = [end["url"] for service in compute for end in service["endpoints"] if end["interface"] == "public"]
        if not public:
            raise Failed("the catalog of Keystone has no public endpoint of compute")
        self.token, self.url = headers["X-Subject-Token"], public[0].rstrip("/")

    def ask(self, method, path, body=None, query=None):
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = urllib.request.Request(url, method=method)
        request.add_header("Accept", "application/json")
        request.add_header("OpenStack-API-Version", "compute " + VERSION)
        if self.token:
            request.add_header("X-Auth-Token", self.token)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else None

    def get(self, path, query=None):
        return self.ask("GET", path, query=query)[1]

    def server(self, server):
        return self.get(f"/servers/{urllib.parse.quote(server, safe='')}")["server"]


def told(server):
    return {
        "id": server["id"],
        "name": server["name"],
        "owner": server.get("metadata", {}).get("owner", ""),
        "status": server["status"],
        "host": server["OS-EXT-SRV-ATTR:host"] or "",
    }


def service_state(nova, given):
    services = nova.get("/os-services", {"binary": "nova-compute", "host": given["host"]})["services"]
    if len(services) != 1:
        raise Failed(f"Nova knows {len(services)} compute services of the host {given['host']}")
    return {key: services[0][key] for key in ("id", "state", "status")}


def set_service(nova, given):
    body = {"status": given["status"]}
    if given["status"] == "disabled":
        body["disabled_reason"] = given["reason"]
    service = nova.ask("PUT", f"/os-services/{urllib.parse.quote(given['service'], safe='')}", body)[1]["service"]
    return {"id": service["id"], "status": service["status"]}


def servers(nova, given):
    if given["ids"]:
        return {"servers": [told(nova.server(server)) for server in given["ids"]]}
    query = {"host": given["host"], "all_tenants": 1}
    return {"servers": [told(server) for server in nova.get("/servers/detail", query)["servers"]]}


def evacuate(nova, given):
    tried, asked, failures = given["again"], False, 0
    while True:
        try:
            server = nova.server(given["server"])
            host = server["OS-EXT-SRV-ATTR:host"]
            # Nova marks it as one that moves before it answers: what was asked for shows, even if the answer was lost.
            if server["OS-EXT-STS:task_state"] is None:
                if host != given["host"]:
                    return moved(server, asked)
                must_not_ask(server, tried, asked)
                tried = True
                nova.ask("POST", f"/servers/{server['id']}/action", {"evacuate": {}})
                asked = True
            failures = 0
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Somebody else may have asked for it meanwhile, or nobody knows whether it was taken: the next look tells.
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 409
            failures += 1
            if refused or failures > FAILURES_MAX:
                raise
        time.sleep(LOOK_EVERY_S)


def moved(server, asked):
    if server["status"] == "ERROR":
        raise Failed(f"{server['name']} could not be started elsewhere: {fault(server)}")
    return {"server": server["id"], "host": server["OS-EXT-SRV-ATTR:host"], "asked": asked}


def must_not_ask(server, tried, asked):
    if server["status"] == "ERROR" and tried:
        raise Failed(f"{server['name']} could not be evacuated: {fault(server)}")
    if asked:
        raise Failed(f"{server['name']} is where it was, and nothing moves it")


def fault(server):
    return server.get("fault", {}).get("message", "Nova does not say why")


DO = {"service_state": service_state, "set_service": set_service, "servers": servers, "evacuate": evacuate}


def main(what):
    given = json.load(sys.stdin)
    try:
        print(json.dumps(DO[what](Nova(), given)))
        return 0
    except Failed as error:
        print(error, file=sys.stderr)
    except urllib.error.HTTPError as error:
        print(f"{error} {error.read(2000).decode(errors='replace')}", file=sys.stderr)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print(f"no answer that can be read: {error!r}", file=sys.stderr)
    return 1


sys.exit(main(sys.argv[1]))
