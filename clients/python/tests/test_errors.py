"""Refusals, as the node's answers become them."""

import pytest

from tollgate import Refused
from tollgate.node.v1 import gate_service_pb2


@pytest.mark.parametrize("for_credit", [False, True])
def test_a_refusal_says_whether_it_is_for_want_of_credit(for_credit: bool) -> None:
    refused = Refused(gate_service_pb2.Refusal(reason="no", http_status=429, for_credit=for_credit))
    assert refused.for_credit is for_credit
