//! Sessions, tokens and the audit log.

use toolpost_core::access::Identity;

use super::backend::TestDb;
use super::both;
use super::setup::at;
use crate::{AuditEntry, NewLogin, NewSession, NewToken};

fn ada() -> Identity {
    Identity {
        name: "ada".into(),
        email: Some("ada@example.org".into()),
        groups: ["dev", "ops"].map(str::to_owned).into(),
        ..Identity::default()
    }
}

fn session(secret: &str, expires: i64) -> NewSession {
    NewSession {
        secret: secret.into(),
        via: "password".into(),
        identity: ada(),
        address: "192.0.2.1".into(),
        expires_at: at(expires),
    }
}

both! {
    async fn sessions_end_when_they_expire_or_are_ended(db: &TestDb) {
        let store = db.open().await;
        store.add_session(session("one", 10), at(1)).await.unwrap();
        store.add_session(session("two", 20), at(2)).await.unwrap();
        let found = store.session("one", at(9)).await.unwrap().unwrap();
        assert_eq!((found.identity, found.created_at, found.seen_at), (ada(), at(1), at(1)));
        store.touch_session(found.id, at(5)).await.unwrap();
        assert_eq!(store.session("one", at(9)).await.unwrap().unwrap().seen_at, at(5));
        assert_eq!(store.session("one", at(10)).await.unwrap(), None);
        assert_eq!(store.session("", at(3)).await.unwrap(), None);
        store.end_session("two").await.unwrap();
        assert_eq!(store.session("two", at(3)).await.unwrap(), None);
        for number in 0..150 {
            store.add_session(session(&format!("more {number}"), 100), at(11)).await.unwrap();
        }
        assert_eq!(store.session("more 49", at(12)).await.unwrap(), None);
        assert!(store.session("more 50", at(12)).await.unwrap().is_some());
        store.close().await;
    }

    async fn a_log_in_is_taken_once_and_in_time(db: &TestDb) {
        let store = db.open().await;
        let login = |secret: &str, expires: i64| NewLogin {
            secret: secret.into(),
            provider: "here".into(),
            redirect: format!("/{secret}"),
            expires_at: at(expires),
        };
        for (secret, expires) in [("one", 10), ("two", 10), ("old", 5), ("other", 10)] {
            store.begin_login(login(secret, expires), at(1)).await.unwrap();
        }
        for (secret, provider, expected) in [
            ("one", "here", Some("/one")),
            ("one", "here", None),
            ("old", "here", None),
            ("nothing", "here", None),
            // Nor does what came back at the wrong place count again.
            ("other", "there", None),
            ("other", "here", None),
        ] {
            let taken = store.take_login(secret, provider, at(6)).await.unwrap();
            assert_eq!(taken.as_deref(), expected, "{secret} {provider}");
        }
        let both = tokio::join!(
            store.take_login("two", "here", at(6)),
            store.take_login("two", "here", at(6)),
        );
        let taken = [both.0.unwrap(), both.1.unwrap()];
        assert_eq!(taken.iter().flatten().count(), 1, "{taken:?}");
        store.close().await;
    }

    async fn tokens_end_when_they_expire_or_are_revoked(db: &TestDb) {
        let store = db.open().await;
        let token = NewToken {
            secret: "one".into(),
            label: "ci".into(),
            via: "password".into(),
            identity: ada(),
            actions: vec!["view".into(), "force".into()],
            builders: vec!["unit-*".into()],
            expires_at: Some(at(10)),
        };
        let id = store.add_token(token.clone(), at(1)).await.unwrap();
        let other = NewToken { secret: "two".into(), expires_at: None, ..token.clone() };
        store.add_token(other, at(2)).await.unwrap();
        let found = store.token("one").await.unwrap().unwrap();
        assert_eq!((&found.actions, &found.builders), (&token.actions, &token.builders));
        assert_eq!((found.is_good(at(9)), found.is_good(at(10))), (true, false));
        store.touch_token(id, at(3)).await.unwrap();
        assert!(!store.revoke_token(id, Some("eve"), "eve", at(4)).await.unwrap());
        assert!(store.revoke_token(id, Some("ada"), "ada", at(4)).await.unwrap());
        assert!(!store.revoke_token(id, None, "root", at(5)).await.unwrap());
        let found = store.token("one").await.unwrap().unwrap();
        assert_eq!((found.used_at, found.revoked_at), (Some(at(3)), Some(at(4))));
        assert!(!found.is_good(at(9)));
        assert_eq!(store.tokens(Some("ada"), 10).await.unwrap().len(), 2);
        assert_eq!(store.tokens(Some("eve"), 10).await.unwrap().len(), 0);
        assert_eq!(store.tokens(None, 1).await.unwrap()[0].expires_at, None);
        assert_eq!(store.token("nothing").await.unwrap(), None);
        store.close().await;
    }

    async fn the_audit_log_remembers_the_newest(db: &TestDb) {
        let store = db.open().await;
        for number in 0..9 {
            let entry = AuditEntry {
                who: if number % 2 == 0 { "ada" } else { "eve" }.into(),
                action: format!("act {number}"),
                outcome: "done".into(),
                ..AuditEntry::default()
            };
            store.add_audit(entry, 5, at(number)).await.unwrap();
        }
        let actions = |rows: Vec<crate::AuditRow>| -> Vec<String> {
            rows.into_iter().map(|row| row.entry.action).collect()
        };
        let all = store.audit(None, None, 100).await.unwrap();
        let second = all[1].id;
        assert_eq!(actions(all), ["act 8", "act 7", "act 6", "act 5", "act 4"]);
        let older = store.audit(Some("ada"), Some(second), 100).await.unwrap();
        assert_eq!(actions(older), ["act 6", "act 4"]);
        store.close().await;
    }
}
