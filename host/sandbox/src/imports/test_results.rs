//! `test-results`.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::StepHost;
use crate::bindings::toolpost::plugin::test_results::{self, TestResult};
use crate::call::CallState;
use crate::host::{self, NewTestSet, TestSet};
use crate::imports::{Answer, answer, refuse, within};

/// A plugin's handle of a set of test results.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TestSetHandle {
    set: TestSet,
    complete: bool,
}

/// Refused after the end.
const COMPLETE: &str = "the set of test results is complete already";

impl test_results::Host for CallState {}

impl test_results::HostTestResultSet for CallState {
    async fn create(
        &mut self,
        description: String,
        category: String,
        value_unit: String,
    ) -> Answer<Resource<TestSetHandle>> {
        const WHAT: &str = "test-results.test-result-set.create";
        self.step(WHAT)?;
        if category.is_empty() || value_unit.is_empty() {
            return refuse("a set of test results needs a category and a unit of its values");
        }
        self.counts.test_sets += 1;
        let (count, limit) = (self.counts.test_sets, self.limits.test_sets_max);
        within("sets of test results", count.into(), limit.into())?;
        let bytes_max = self.limits.text_bytes_max;
        let new = NewTestSet {
            description: self.short(&description, bytes_max),
            category: self.short(&category, bytes_max),
            value_unit: self.short(&value_unit, bytes_max),
        };
        let add = async move |host: Arc<dyn StepHost>| host.farm().add_test_set(new).await;
        match answer(self.ask(WHAT, add).await?)? {
            Ok(set) => {
                let handle = TestSetHandle {
                    set,
                    complete: false,
                };
                Ok(Ok(self.table.push(handle)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn add(&mut self, this: Resource<TestSetHandle>, results: Vec<TestResult>) -> Answer<()> {
        let handle = self.table.get(&this)?;
        if handle.complete {
            return refuse(COMPLETE);
        }
        let set = handle.set;
        let batch_max = self.limits.test_result_batch_max;
        if results.len() > batch_max {
            return refuse(format!(
                "{} test results are added at one time, the limit is {batch_max}",
                results.len()
            ));
        }
        let nameless = |result: &TestResult| result.name.is_none() && result.code_path.is_none();
        if results.iter().any(nameless) {
            return refuse("a test result needs a name or a code path");
        }
        self.counts.test_results += results.len() as u64;
        let (count, limit) = (self.counts.test_results, self.limits.test_results_max);
        within("test results of a step", count, limit)?;
        let (text_max, value_max) = (self.limits.text_bytes_max, self.limits.test_value_bytes_max);
        let hider = self.hider();
        let results = results.into_iter().map(|result| host::TestResult {
            name: result.name.map(|text| hider.short(&text, text_max)),
            code_path: result.code_path.map(|text| hider.short(&text, text_max)),
            line: result.line,
            duration_ns: result.duration_ns,
            value: hider.short(&result.value, value_max),
        });
        let results: Vec<_> = results.collect();
        let add =
            async move |host: Arc<dyn StepHost>| host.farm().add_test_results(set, results).await;
        answer(self.ask("test-results.test-result-set.add", add).await?)
    }

    async fn complete(
        &mut self,
        this: Resource<TestSetHandle>,
        passed: Option<u64>,
        failed: Option<u64>,
    ) -> Answer<()> {
        let handle = self.table.get_mut(&this)?;
        if std::mem::replace(&mut handle.complete, true) {
            return refuse(COMPLETE);
        }
        let set = handle.set;
        let complete = async move |host: Arc<dyn StepHost>| {
            host.farm().complete_test_set(set, passed, failed).await
        };
        answer(
            self.ask("test-results.test-result-set.complete", complete)
                .await?,
        )
    }

    async fn drop(&mut self, this: Resource<TestSetHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
