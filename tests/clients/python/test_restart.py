from sidecar_client.restart import RestartBudget, RestartPolicy


def test_so_many_restarts_within_the_window_and_no_more() -> None:
    budget = RestartBudget(RestartPolicy(max_restarts=2, within_seconds=60))
    assert [budget.spend(now) for now in (0, 10, 20, 59)] == [True, True, False, False]


def test_old_restarts_are_forgotten() -> None:
    budget = RestartBudget(RestartPolicy(max_restarts=1, within_seconds=60))
    assert budget.spend(0)
    assert not budget.spend(59)
    assert budget.spend(60)


def test_without_a_policy_there_is_none() -> None:
    assert not RestartBudget(None).spend(0)
