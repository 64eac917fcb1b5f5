"""Writes signatures.json: what botocore signs for requests that are hard to sign. Run with botocore 1.43."""

import datetime
import hashlib
import json
import pathlib
from urllib.parse import quote, urlencode

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TIME = datetime.datetime(2026, 1, 31, 12, 34, 56)
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

CASES = [
    # method, path before encoding, query, extra headers, body, token, region
    ("GET", "/bucket/plain", [], {}, b"", None, "us-east-1"),
    ("GET", "/bucket", [("list-type", "2"), ("prefix", "a b/+"), ("encoding-type", "url")], {}, b"", None, "eu-west-1"),
    ("POST", "/bucket/key", [("uploads", "")], {}, b"", None, "us-east-1"),
    ("PUT", "/bucket/key", [("uploadId", "x/y=="), ("partNumber", "10")], {}, b"part", None, "us-east-1"),
    ("PUT", "/bucket/a b+c(d)!*'=@:~é/ü", [], {"if-none-match": "*"}, b"body", None, "us-east-1"),
    ("GET", "/bucket/a//b/../c", [], {"range": "bytes=0-9"}, b"", None, "us-east-1"),
    ("PUT", "/bucket/meta", [], {"x-amz-meta-one": "  a   b ", "x-amz-meta-two": "2"}, b"x" * 1000, None, "ap-south-1"),
    ("DELETE", "/bucket/key", [], {}, b"", "TOKEN/with+signs==", "us-east-1"),
    ("GET", "/", [("marker", "é&=?")], {}, b"", "t", "us-gov-west-1"),
]


def main() -> None:
    botocore.auth.get_current_datetime = lambda: TIME
    cases = []
    for method, path, query, headers, body, token, region in CASES:
        host = "s3.example.com:9000"
        url = f"https://{host}{quote(path, safe='/~')}"
        if query:
            url += "?" + urlencode(query, quote_via=quote, safe="-_.~")
        request = AWSRequest(method=method, url=url, headers={**headers}, data=body)
        auth = botocore.auth.S3SigV4Auth(Credentials(ACCESS, SECRET, token), "s3", region)
        request.context["client_config"] = None
        auth.add_auth(request)
        cases.append(
            {
                "method": method,
                "path": path,
                "query": [list(pair) for pair in query],
                "host": host,
                "headers": [list(pair) for pair in headers.items()],
                "payload": hashlib.sha256(body).hexdigest(),
                "token": token,
                "region": region,
                "authorization": request.headers["Authorization"],
            }
        )
    output = {
        "botocore": botocore.__version__,
        "access": ACCESS,
        "secret": SECRET,
        "time": TIME.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "cases": cases,
    }
    path = pathlib.Path(__file__).with_name("signatures.json")
    path.write_text(json.dumps(output, indent=1, ensure_ascii=False) + "\n")


main()
