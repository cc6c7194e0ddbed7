//! Actions: whether somebody may, the action itself, and the record of it.
//!
//! Everything that makes the farm do something is asked for here, by the API as by the pages. Invariant: what the rules refuse has not
//! begun, and what somebody did is in the audit log, with its outcome.

use std::fmt::Display;

use toolpost_core::access::{Action, Target};
use toolpost_core::codebase::Project;
use toolpost_core::model::{Build, BuildRequest, Builder, Scheduler, Worker};
use toolpost_core::{
    BuildId, BuilderId, DeliveryId, Properties, ReporterId, RequestId, SchedulerId, WorkerId,
};
use toolpost_master::{ControlError, ForceError, ForceRequest, Forced, Submitted};
use toolpost_sandbox::PluginStatus;
use toolpost_store::{AuditEntry, Query};

use super::caller::Caller;
use crate::api::resolve;
use crate::error::ApiError;
use crate::state::Web;

/// What something is done to.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    /// As records name it.
    text: String,
    /// Its builders; all of them have to be allowed.
    builders: Vec<Owner>,
    worker: Option<String>,
    scheduler: Option<String>,
    owners: Vec<String>,
}

/// A builder that something belongs to, as far as rules speak of it.
#[derive(Debug, Default)]
struct Owner {
    name: String,
    tags: Vec<String>,
    project: Option<String>,
}

/// Somebody who does something.
pub(crate) struct Acting<'a> {
    web: &'a Web,
    caller: &'a Caller,
}

impl Web {
    /// What somebody wants done.
    pub(crate) fn acting<'a>(&'a self, caller: &'a Caller) -> Acting<'a> {
        Acting { web: self, caller }
    }
}

impl Subject {
    /// Something that has only a name.
    pub(crate) fn named(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Whether somebody may do something to it.
    fn is_open_to(&self, web: &Web, caller: &Caller, action: Action) -> bool {
        let Some(auth) = web.rules() else { return true };
        let target = Target {
            worker: self.worker.as_deref(),
            scheduler: self.scheduler.as_deref(),
            owners: &self.owners,
            ..Target::default()
        };
        let may = |target: &Target<'_>| {
            let looks = caller.may(&auth.policy, Action::View, target);
            looks && caller.may(&auth.policy, action, target)
        };
        if self.builders.is_empty() {
            return may(&target);
        }
        self.builders.iter().all(|builder| {
            may(&Target {
                builder: Some(&builder.name),
                tags: &builder.tags,
                project: builder.project.as_deref(),
                ..target
            })
        })
    }
}

/// Who asked for something, as its properties say.
fn owners(properties: &Properties) -> Vec<String> {
    let owner = properties.get("owner").and_then(|owner| owner.as_str());
    owner.map(str::to_owned).into_iter().collect()
}

impl Acting<'_> {
    /// Has a build stopped.
    pub(crate) async fn stop_build(&self, id: BuildId, reason: &str) -> Result<(), ApiError> {
        let subject = self.build(id).await?;
        let work = self.web.master.stop_build(id, reason, self.caller.name());
        self.run(Action::Stop, &subject, reason, work).await
    }

    /// Asks for a build like another one.
    pub(crate) async fn rebuild(&self, id: BuildId) -> Result<Submitted, ApiError> {
        let subject = self.build(id).await?;
        let work = self.web.master.rebuild(id, self.caller.name());
        self.run(Action::Rebuild, &subject, "", work).await
    }

    /// Takes a request from the queue.
    pub(crate) async fn cancel(&self, id: RequestId, reason: &str) -> Result<(), ApiError> {
        let subject = self.request(id).await?;
        let who = self.caller.name();
        let work = self.web.master.cancel_request(id, reason, who);
        self.run(Action::Cancel, &subject, reason, work).await
    }

    /// Gives a worker no new builds.
    pub(crate) async fn pause(&self, id: WorkerId, reason: &str) -> Result<(), ApiError> {
        let subject = self.worker(id).await?;
        let work = self.web.master.pause_worker(id, Some(reason));
        self.run(Action::Pause, &subject, reason, work).await
    }

    /// Gives a worker builds again.
    pub(crate) async fn unpause(&self, id: WorkerId) -> Result<(), ApiError> {
        let subject = self.worker(id).await?;
        let work = self.web.master.pause_worker(id, None);
        self.run(Action::Unpause, &subject, "", work).await
    }

    /// Lets a worker end when its builds have.
    pub(crate) async fn stop_worker(&self, id: WorkerId, reason: &str) -> Result<(), ApiError> {
        let subject = self.worker(id).await?;
        let work = self.web.master.stop_worker(id, reason, self.caller.name());
        self.run(Action::StopWorker, &subject, reason, work).await
    }

    /// Tells a worker to end at once.
    pub(crate) async fn kill_worker(&self, id: WorkerId, reason: &str) -> Result<(), ApiError> {
        let subject = self.worker(id).await?;
        let work = self.web.master.kill_worker(id, reason, self.caller.name());
        self.run(Action::KillWorker, &subject, reason, work).await
    }

    /// Gives a request another priority.
    pub(crate) async fn set_priority(&self, id: RequestId, priority: i32) -> Result<(), ApiError> {
        let subject = self.request(id).await?;
        let work = self.web.master.set_priority(id, priority);
        let detail = priority.to_string();
        self.run(Action::SetPriority, &subject, &detail, work).await
    }

    /// Lets a scheduler make build sets, or not.
    pub(crate) async fn enable_scheduler(
        &self,
        id: SchedulerId,
        enabled: bool,
    ) -> Result<(), ApiError> {
        let subject = self.scheduler(id).await?;
        let work = self.web.master.enable_scheduler(id, enabled);
        let detail = if enabled { "on" } else { "off" };
        self.run(Action::EnableScheduler, &subject, detail, work)
            .await
    }

    /// Has a scheduler pass over an event.
    pub(crate) async fn skip_event(
        &self,
        id: SchedulerId,
        event: &str,
        reason: &str,
    ) -> Result<String, ApiError> {
        let subject = self.scheduler(id).await?;
        let who = self.caller.name();
        let work = self.web.master.skip_event(id, event, reason, who);
        self.run(Action::SkipEvent, &subject, reason, work).await
    }

    /// Sends a report again.
    pub(crate) async fn resend(&self, id: DeliveryId) -> Result<(), ApiError> {
        let subject = Subject::named(format!("delivery {id}"));
        let work = self.web.master.resend_delivery(id);
        self.run(Action::Resend, &subject, "", work).await
    }

    /// Sends all reports again that a reporter has given up.
    pub(crate) async fn resend_dead(&self, id: ReporterId) -> Result<u64, ApiError> {
        let subject = Subject::named(format!("reporter {id}"));
        let work = self.web.master.resend_dead(id);
        self.run(Action::Resend, &subject, "", work).await
    }

    /// Gives up a report.
    pub(crate) async fn discard(&self, id: DeliveryId) -> Result<(), ApiError> {
        let subject = Subject::named(format!("delivery {id}"));
        let work = self.web.master.discard_delivery(id);
        self.run(Action::Discard, &subject, "", work).await
    }

    /// Has the plugin directory looked at.
    pub(crate) async fn reload_plugins(&self) -> Result<Vec<PluginStatus>, ApiError> {
        let work = async { Ok::<_, ApiError>(self.web.master.rescan_plugins().await) };
        let subject = Subject::named("plugins");
        self.run(Action::ReloadPlugins, &subject, "", work).await
    }

    /// Makes an earlier version of a plugin the live one.
    pub(crate) async fn rollback(
        &self,
        plugin: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), ApiError> {
        let subject = Subject::named(format!("plugin {plugin}"));
        let work = self.web.master.rollback_plugin(plugin, digest, reason);
        self.run(Action::RollbackPlugin, &subject, reason, work)
            .await
    }

    /// Asks for builds with a form. Whoever is logged in is the owner, whatever the form says.
    pub(crate) async fn force(
        &self,
        form: &str,
        mut request: ForceRequest,
    ) -> Result<Result<Forced, ForceError>, ApiError> {
        request.owner = self.caller.owner();
        let subject = self.form(form, request.builders.as_deref()).await?;
        self.permit(Action::Force, &subject).await?;
        let outcome = self.web.master.force(form, request).await;
        let failed = outcome.as_ref().err().map(ToString::to_string);
        self.record(Action::Force.name(), &subject.text, "", failed.as_deref())
            .await;
        Ok(outcome)
    }

    /// Refuses what somebody may not do.
    pub(crate) async fn permit(&self, action: Action, subject: &Subject) -> Result<(), ApiError> {
        if subject.is_open_to(self.web, self.caller, action) {
            return Ok(());
        }
        tracing::info!(
            user.name = %self.caller.name(),
            "{} at {:?} may not {} {}", self.caller.name(), self.caller.address, action.name(), subject.text
        );
        // Nobody can fill the log who has not logged in.
        if self.caller.identity.is_some() {
            self.write(action.name(), &subject.text, "", "refused")
                .await;
        }
        let what = format!("{} ({})", action.name(), subject.text);
        Err(ApiError::forbidden(self.caller, &what))
    }

    async fn run<T, E: Into<ApiError> + Display>(
        &self,
        action: Action,
        subject: &Subject,
        detail: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError> {
        self.permit(action, subject).await?;
        let outcome = work.await;
        let failed = outcome.as_ref().err().map(ToString::to_string);
        self.record(action.name(), &subject.text, detail, failed.as_deref())
            .await;
        outcome.map_err(Into::into)
    }

    /// Writes down what was done, or why it could not be.
    pub(crate) async fn record(
        &self,
        action: &str,
        target: &str,
        detail: &str,
        failed: Option<&str>,
    ) {
        match failed {
            None => self.write(action, target, detail, "done").await,
            Some(why) => self.write(action, target, why, "failed").await,
        }
    }

    async fn write(&self, action: &str, target: &str, detail: &str, outcome: &str) {
        let Some(auth) = self.web.rules() else { return };
        let entry = AuditEntry {
            who: self.caller.name().to_owned(),
            via: self.caller.via.clone(),
            address: self.caller.place(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: detail.to_owned(),
            outcome: outcome.to_owned(),
        };
        let (entries_max, now) = (auth.audit_entries_max, self.web.now());
        if let Err(error) = self
            .web
            .store_of_actions
            .add_audit(entry, entries_max, now)
            .await
        {
            tracing::error!(
                "{} by {} is not in the audit log: {error}",
                action,
                self.caller.name()
            );
        }
    }

    /// What a build is, as far as rules speak of it.
    async fn build(&self, id: BuildId) -> Result<Subject, ApiError> {
        let mut subject = Subject::named(format!("build {id}"));
        if self.web.rules().is_none() {
            return Ok(subject);
        }
        let store = &self.web.store_of_actions;
        let Some(build) = store.find::<Build>(id.0).await? else {
            return Err(ControlError::UnknownBuild(id).into());
        };
        subject.owners = owners(&store.build_properties(id).await?);
        self.with_builder(subject, build.builder_id, "build").await
    }

    async fn request(&self, id: RequestId) -> Result<Subject, ApiError> {
        let mut subject = Subject::named(format!("request {id}"));
        if self.web.rules().is_none() {
            return Ok(subject);
        }
        let store = &self.web.store_of_actions;
        let Some(request) = store.find::<BuildRequest>(id.0).await? else {
            return Err(ControlError::UnknownRequest(id).into());
        };
        subject.owners = owners(&store.buildset_properties(request.buildset_id).await?);
        self.with_builder(subject, request.builder_id, "buildrequest")
            .await
    }

    /// What is not to be seen is not there.
    async fn with_builder(
        &self,
        mut subject: Subject,
        id: BuilderId,
        what: &'static str,
    ) -> Result<Subject, ApiError> {
        if !self.web.sight(self.caller).await?.sees(id) {
            return Err(ApiError::not_found(what));
        }
        let builder = self.web.store_of_actions.get::<Builder>(id).await?;
        subject.text = format!("{} of {}", subject.text, builder.name);
        subject.builders.push(self.owner(builder).await?);
        Ok(subject)
    }

    async fn owner(&self, builder: Builder) -> Result<Owner, ApiError> {
        let project = match builder.project_id {
            Some(id) => self.web.store_of_actions.find::<Project>(id.0).await?,
            None => None,
        };
        Ok(Owner {
            name: builder.name,
            tags: builder.tags,
            project: project.map(|project| project.name),
        })
    }

    /// The same of builders that are known by name; of one that is not there yet, only the name.
    async fn owners(&self, names: Vec<String>) -> Result<Vec<Owner>, ApiError> {
        let mut owners = Vec::new();
        for name in names {
            let query = Query::new().eq("name", &name);
            owners.push(
                match resolve::first::<Builder>(&self.web.store_of_actions, query).await? {
                    Some(builder) => self.owner(builder).await?,
                    None => Owner {
                        name,
                        ..Owner::default()
                    },
                },
            );
        }
        Ok(owners)
    }

    async fn scheduler(&self, id: SchedulerId) -> Result<Subject, ApiError> {
        let mut subject = Subject::named(format!("scheduler {id}"));
        if self.web.rules().is_some() {
            let found = self.web.store_of_actions.find::<Scheduler>(id.0).await?;
            if let Some(scheduler) = found {
                let builders = self.builders_of(&scheduler.name);
                subject.builders = self.owners(builders).await?;
                subject.scheduler = Some(scheduler.name);
            }
        }
        Ok(subject)
    }

    async fn worker(&self, id: WorkerId) -> Result<Subject, ApiError> {
        let mut subject = Subject::named(format!("worker {id}"));
        if self.web.rules().is_some()
            && let Some(worker) = self.web.store_of_actions.find::<Worker>(id.0).await?
        {
            subject.text = format!("worker {}", worker.name);
            subject.worker = Some(worker.name);
        }
        Ok(subject)
    }

    async fn form(&self, name: &str, builders: Option<&[String]>) -> Result<Subject, ApiError> {
        let mut subject = Subject::named(format!("form {name}"));
        subject.scheduler = Some(name.to_owned());
        if self.web.rules().is_none() {
            return Ok(subject);
        }
        let wanted = builders.filter(|names| !names.is_empty());
        let wanted = wanted.map_or_else(|| self.builders_of(name), <[String]>::to_vec);
        subject.text = format!("form {name} for {}", wanted.join(", "));
        subject.builders = self.owners(wanted).await?;
        Ok(subject)
    }

    /// Names of the builders that a scheduler or form asks for.
    fn builders_of(&self, scheduler: &str) -> Vec<String> {
        let forms = self.web.master.force_forms().into_iter();
        let of_form = forms.map(|form| (form.name, form.builders));
        let schedulers = self.web.master.schedulers().into_iter();
        let of_scheduler = schedulers.map(|status| (status.name, status.builders));
        let mut all = of_form.chain(of_scheduler);
        let found = all.find(|(name, _)| name == scheduler);
        found.map(|(_, builders)| builders).unwrap_or_default()
    }
}
