"""From a scenario to a result: tables, the run loop of both planes, judging."""
