#!/usr/bin/env python3
"""jira.py LABEL: makes the ticket that stands on its input, unless one has that label already.

Answers with {"key": "OPS-1", "found": whether it was there}. A request whose answer is lost may have made the ticket: the
label is looked for before each. The search knows a new ticket a moment after it was made, hence the pause. Two attempts of
an execution never run at once, so nobody makes the ticket between a look and a request.
"""

import base64
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TRIES_MAX = 4
PAUSE_S = 3
ANSWER_S = 10


def ask(path, body=None):
    account = f"{os.environ['JIRA_USER']}:{os.environ['JIRA_TOKEN']}"
    request = urllib.request.Request(os.environ["JIRA_URL"].rstrip("/") + path)
    request.add_header("Authorization", "Basic " + base64.b64encode(account.encode()).decode())
    request.add_header("Accept", "application/json")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = body
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        return json.load(answer)


def ticket(label, body):
    wanted = urllib.parse.urlencode({"jql": f'labels = "{label}" ORDER BY created', "fields": "key", "maxResults": 1})
    found = ask(f"/rest/api/3/search/jql?{wanted}")["issues"]
    if found:
        return {"key": found[0]["key"], "found": True}
    return {"key": ask("/rest/api/3/issue", body)["key"], "found": False}


def main(label):
    body = sys.stdin.buffer.read()
    for number in range(TRIES_MAX):
        if number:
            time.sleep(PAUSE_S)
        try:
            print(json.dumps(ticket(label, body)))
            return 0
        except urllib.error.HTTPError as error:
            told = f"{error} {error.read(2000).decode(errors='replace')}"
            if error.code < 500 and error.code != 429:
                print(told, file=sys.stderr)
                return 1
        except (OSError, http.client.HTTPException, ValueError) as error:
            told = f"no answer that can be read: {error!r}"
        print(told, file=sys.stderr)
    return 1


sys.exit(main(sys.argv[1]))
