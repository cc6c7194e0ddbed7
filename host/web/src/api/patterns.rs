//! The paths of the API as a table.

use super::schema::Resource;

/// The paths that are served, in Buildbot's notation (`n:` a number, `i:` an identifier, `s:` any text) with the type of
/// what they give. `application.spec` shows it, and the tests walk it.
pub(crate) const PATTERNS: &[(&str, Resource)] = &[
    ("/", Resource::RootLink),
    ("/application.spec", Resource::Spec),
    ("/audit", Resource::AuditEntry),
    ("/builders", Resource::Builder),
    ("/builders/n:builderid", Resource::Builder),
    ("/builders/s:buildername", Resource::Builder),
    (
        "/builders/n:builderid/buildrequests",
        Resource::BuildRequest,
    ),
    ("/builders/n:builderid/builds", Resource::Build),
    ("/builders/s:buildername/builds", Resource::Build),
    (
        "/builders/n:builderid/builds/n:build_number",
        Resource::Build,
    ),
    (
        "/builders/s:buildername/builds/n:build_number",
        Resource::Build,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/artifacts",
        Resource::Artifact,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/data",
        Resource::BuildData,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/data/i:build_data_name",
        Resource::BuildData,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/data/i:build_data_name/value",
        Resource::BuildData,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/artifacts",
        Resource::Artifact,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/data",
        Resource::BuildData,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/data/i:build_data_name",
        Resource::BuildData,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/data/i:build_data_name/value",
        Resource::BuildData,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/changes",
        Resource::Change,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/properties",
        Resource::Properties,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps",
        Resource::Step,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps",
        Resource::Step,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number",
        Resource::Step,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number/logs",
        Resource::Log,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number/logs/i:log_slug",
        Resource::Log,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number/logs/i:log_slug/raw",
        Resource::LogChunk,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/n:step_number/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name",
        Resource::Step,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name/logs",
        Resource::Log,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name/logs/i:log_slug",
        Resource::Log,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name/logs/i:log_slug/raw",
        Resource::LogChunk,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/steps/i:step_name/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/changes",
        Resource::Change,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/properties",
        Resource::Properties,
    ),
    (
        "/builders/s:buildername/builds/n:build_number/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number",
        Resource::Step,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name",
        Resource::Step,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number/logs",
        Resource::Log,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name/logs",
        Resource::Log,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name/logs/i:log_slug",
        Resource::Log,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name/logs/i:log_slug/raw",
        Resource::LogChunk,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/i:step_name/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number/logs/i:log_slug",
        Resource::Log,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number/logs/i:log_slug/raw",
        Resource::LogChunk,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/steps/n:step_number/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/n:builderid/builds/n:build_number/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/n:builderid/forceschedulers",
        Resource::ForceScheduler,
    ),
    ("/builders/n:builderid/masters", Resource::Master),
    ("/builders/n:builderid/masters/n:masterid", Resource::Master),
    ("/builders/n:builderid/workers", Resource::Worker),
    ("/builders/n:builderid/workers/n:workerid", Resource::Worker),
    ("/builders/n:builderid/workers/i:name", Resource::Worker),
    (
        "/builders/n:builderid/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/s:buildername/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builders/s:buildername/buildrequests",
        Resource::BuildRequest,
    ),
    (
        "/builders/s:buildername/forceschedulers",
        Resource::ForceScheduler,
    ),
    ("/builders/s:buildername/masters", Resource::Master),
    (
        "/builders/s:buildername/masters/n:masterid",
        Resource::Master,
    ),
    ("/builders/s:buildername/workers", Resource::Worker),
    (
        "/builders/s:buildername/workers/n:workerid",
        Resource::Worker,
    ),
    ("/builders/s:buildername/workers/i:name", Resource::Worker),
    ("/buildrequests", Resource::BuildRequest),
    ("/buildrequests/n:buildrequestid", Resource::BuildRequest),
    ("/buildrequests/n:buildrequestid/builds", Resource::Build),
    (
        "/buildrequests/n:buildrequestid/properties",
        Resource::Properties,
    ),
    ("/builds", Resource::Build),
    ("/builds/n:buildid", Resource::Build),
    ("/builds/n:buildid/artifacts", Resource::Artifact),
    ("/builds/n:buildid/data", Resource::BuildData),
    (
        "/builds/n:buildid/data/i:build_data_name",
        Resource::BuildData,
    ),
    (
        "/builds/n:buildid/data/i:build_data_name/value",
        Resource::BuildData,
    ),
    (
        "/builds/n:buildid/test_result_sets",
        Resource::TestResultSet,
    ),
    ("/builds/n:buildid/changes", Resource::Change),
    ("/builds/n:buildid/properties", Resource::Properties),
    ("/builds/n:buildid/property_list", Resource::PropertyList),
    ("/builds/n:buildid/steps", Resource::Step),
    ("/builds/n:buildid/steps/n:step_number", Resource::Step),
    ("/builds/n:buildid/steps/i:step_name", Resource::Step),
    ("/builds/n:buildid/steps/n:step_number/logs", Resource::Log),
    ("/builds/n:buildid/steps/i:step_name/logs", Resource::Log),
    (
        "/builds/n:buildid/steps/n:step_number/logs/i:log_slug",
        Resource::Log,
    ),
    (
        "/builds/n:buildid/steps/n:step_number/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    (
        "/builds/n:buildid/steps/i:step_name/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    (
        "/builds/n:buildid/steps/i:step_name/logs/i:log_slug",
        Resource::Log,
    ),
    (
        "/builds/n:buildid/steps/i:step_name/logs/i:log_slug/raw",
        Resource::LogChunk,
    ),
    (
        "/builds/n:buildid/steps/i:step_name/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    (
        "/builds/n:buildid/steps/i:step_name/test_result_sets",
        Resource::TestResultSet,
    ),
    (
        "/builds/n:buildid/steps/n:step_number/logs/i:log_slug/raw",
        Resource::LogChunk,
    ),
    (
        "/builds/n:buildid/steps/n:step_number/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    (
        "/builds/n:buildid/steps/n:step_number/test_result_sets",
        Resource::TestResultSet,
    ),
    ("/builds/n:buildid/triggered_builds", Resource::Build),
    ("/buildsets", Resource::Buildset),
    ("/buildsets/n:bsid", Resource::Buildset),
    ("/buildsets/n:bsid/properties", Resource::Properties),
    ("/buildsets/n:bsid/properties_list", Resource::PropertyList),
    ("/buildsets/n:bsid/sourcestamps", Resource::SourceStamp),
    ("/changes", Resource::Change),
    ("/changes/n:changeid", Resource::Change),
    ("/changes/n:changeid/builds", Resource::Build),
    (
        "/changes/n:changeid/properties_list",
        Resource::PropertyList,
    ),
    ("/changesources", Resource::ChangeSource),
    ("/changesources/n:changesourceid", Resource::ChangeSource),
    ("/codebases", Resource::Codebase),
    ("/codebases/n:codebaseid", Resource::Codebase),
    ("/codebases/n:codebaseid/branches", Resource::Branch),
    (
        "/codebases/n:codebaseid/commit_range/n:commitid1/n:commitid2/commits_common_parent",
        Resource::CommitGraph,
    ),
    (
        "/codebases/n:codebaseid/commit_range/n:commitid1/n:commitid2/test_result_sets",
        Resource::TestResultSet,
    ),
    ("/codebases/n:codebaseid/commits", Resource::Commit),
    (
        "/codebases/n:codebaseid/commits_by_revision/s:revision",
        Resource::Commit,
    ),
    ("/branches/n:branchid", Resource::Branch),
    ("/commits/n:commitid", Resource::Commit),
    ("/deliveries", Resource::Delivery),
    ("/deliveries/n:deliveryid", Resource::Delivery),
    ("/forceschedulers", Resource::ForceScheduler),
    ("/forceschedulers/i:schedulername", Resource::ForceScheduler),
    ("/logs/n:logid", Resource::Log),
    ("/logs/n:logid/contents", Resource::LogChunk),
    ("/logs/n:logid/raw", Resource::LogChunk),
    ("/logs/n:logid/raw_inline", Resource::LogChunk),
    ("/masters", Resource::Master),
    ("/masters/n:masterid", Resource::Master),
    ("/masters/n:masterid/builders", Resource::Builder),
    (
        "/masters/n:masterid/builders/n:builderid",
        Resource::Builder,
    ),
    (
        "/masters/n:masterid/builders/n:builderid/workers",
        Resource::Worker,
    ),
    (
        "/masters/n:masterid/builders/n:builderid/workers/n:workerid",
        Resource::Worker,
    ),
    (
        "/masters/n:masterid/builders/n:builderid/workers/i:name",
        Resource::Worker,
    ),
    ("/masters/n:masterid/changesources", Resource::ChangeSource),
    (
        "/masters/n:masterid/changesources/n:changesourceid",
        Resource::ChangeSource,
    ),
    ("/masters/n:masterid/schedulers", Resource::Scheduler),
    (
        "/masters/n:masterid/schedulers/n:schedulerid",
        Resource::Scheduler,
    ),
    ("/masters/n:masterid/workers", Resource::Worker),
    ("/masters/n:masterid/workers/n:workerid", Resource::Worker),
    ("/masters/n:masterid/workers/i:name", Resource::Worker),
    ("/plugins", Resource::Plugin),
    ("/plugins/s:name", Resource::Plugin),
    ("/plugins/s:name/events", Resource::PluginEvent),
    ("/plugins/s:name/metrics", Resource::PluginMetrics),
    ("/plugins/s:name/versions", Resource::PluginVersion),
    ("/projects", Resource::Project),
    ("/projects/n:projectid", Resource::Project),
    ("/projects/n:projectid/builders", Resource::Builder),
    (
        "/projects/n:projectid/codebases/i:codebasename",
        Resource::Codebase,
    ),
    ("/projects/i:projectname", Resource::Project),
    ("/projects/i:projectname/builders", Resource::Builder),
    (
        "/projects/i:projectname/codebases/i:codebasename",
        Resource::Codebase,
    ),
    ("/reporters", Resource::Reporter),
    ("/reporters/n:reporterid", Resource::Reporter),
    ("/reporters/n:reporterid/deliveries", Resource::Delivery),
    ("/schedulers", Resource::Scheduler),
    ("/schedulers/n:schedulerid", Resource::Scheduler),
    ("/sourcestamps", Resource::SourceStamp),
    ("/sourcestamps/n:ssid", Resource::SourceStamp),
    ("/sourcestamps/n:ssid/changes", Resource::Change),
    ("/steps/n:stepid", Resource::Step),
    ("/steps/n:stepid/logs", Resource::Log),
    ("/steps/n:stepid/logs/i:log_slug", Resource::Log),
    (
        "/steps/n:stepid/logs/i:log_slug/contents",
        Resource::LogChunk,
    ),
    ("/steps/n:stepid/logs/i:log_slug/raw", Resource::LogChunk),
    (
        "/steps/n:stepid/logs/i:log_slug/raw_inline",
        Resource::LogChunk,
    ),
    ("/steps/n:stepid/test_result_sets", Resource::TestResultSet),
    ("/test_result_sets", Resource::TestResultSet),
    (
        "/test_result_sets/n:test_result_setid",
        Resource::TestResultSet,
    ),
    (
        "/test_result_sets/n:test_result_setid/results",
        Resource::TestResult,
    ),
    ("/tokens", Resource::Token),
    ("/tokens/n:tokenid", Resource::Token),
    ("/workers", Resource::Worker),
    ("/workers/n:workerid", Resource::Worker),
    ("/workers/i:name", Resource::Worker),
    ("/workers/n:workerid/builders", Resource::Builder),
    ("/workers/n:workerid/builds", Resource::Build),
];
