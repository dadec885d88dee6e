"""Governs LiteLLM's proxy: keys, limits and routing of Tollgate, without LiteLLM's database. In `config.yaml`:

    general_settings:
      custom_auth: tollgate.litellm.user_api_key_auth
    litellm_settings:
      callbacks: ["tollgate.litellm.handler"]

`TOLLGATE_NODE` names the node. Without it, one worker starts a node for all, with the program `tollgate` (or
`TOLLGATE_BINARY`) and the settings of `tollgate node` in the environment.
"""

from tollgate.litellm.governor import Governor

handler = Governor()
"""What LiteLLM calls on the way of a request. It lives in an imported module, so that there is one for each worker."""

user_api_key_auth = handler.authenticate
"""What LiteLLM asks whose request it is."""

__all__ = ["handler", "user_api_key_auth"]
