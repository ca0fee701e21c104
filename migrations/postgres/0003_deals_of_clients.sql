-- The deals whose order a client has: what it says may be news of them, also when its contact is another one now.
CREATE INDEX deals_client ON deals (bridge, client, lead) WHERE client IS NOT NULL;
