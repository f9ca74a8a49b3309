SELECT policy, decided, count() AS times, any(reason) AS reason
FROM gate_decisions GROUP BY policy, decided ORDER BY policy, decided
