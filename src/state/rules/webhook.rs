//! Webhooks.

use super::*;
use crate::domain::{Webhook, WebhookOwner};

impl Rules for Webhook {
    /// Without a secret of its own in the request, it keeps the one that it has.
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        if self.secret.is_none() {
            self.secret = before.and_then(|before| before.resource.secret.clone());
        }
        match &mut self.owner {
            None => {}
            Some(WebhookOwner::Customer(id)) => share(state, id),
            Some(WebhookOwner::Team(id)) => share(state, id),
            Some(WebhookOwner::VirtualKey(id)) => share(state, id),
        }
        Ok(())
    }

    /// The owner must exist when it is named. It may go later: the webhook stays, and hears of nothing.
    fn check_written(&self, _id: Option<&Id<Self>>, before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        if before.is_some_and(|before| before.resource.owner == self.owner) {
            return Ok(());
        }
        let (root, mut missing) = (Path::root("webhook"), Vec::new());
        match &self.owner {
            None => {}
            Some(WebhookOwner::Customer(id)) => check_exists(state, id, &root.field("customer_id"), &mut missing),
            Some(WebhookOwner::Team(id)) => check_exists(state, id, &root.field("team_id"), &mut missing),
            Some(WebhookOwner::VirtualKey(id)) => check_exists(state, id, &root.field("virtual_key_id"), &mut missing),
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn cascade(
        _stored: &Stored<Self>,
        _state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}
