"""Clients of Tencent CBS as the vendor's SDK for Python makes them."""

from tencentcloud.cbs.v20170312 import cbs_client
from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

GUANGZHOU, BEIJING = "ap-guangzhou", "ap-beijing"


def client(address, region, key, sign="TC3-HMAC-SHA256", method="POST", kind=cbs_client.CbsClient):
    http = HttpProfile(protocol="http", endpoint=address, reqMethod=method, reqTimeout=30)
    profile = ClientProfile(signMethod=sign, httpProfile=http)
    return kind(credential.Credential(*key), region, profile)
