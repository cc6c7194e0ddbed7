//! The macro that makes a crate a plugin.

/// Makes the crate a plugin with these types, of one kind or several.
///
/// ```
/// # use toolpost_sdk::{Context, Delivery, Error, Outcome, ReportOutcome, Reporter, ReporterContext, Step};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Parameters {}
/// # struct Deploy;
/// # impl Step for Deploy {
/// #     const NAME: &'static str = "deploy";
/// #     const SUMMARY: &'static str = "Deploys.";
/// #     type Parameters = Parameters;
/// #     fn run(_: Parameters, _: &Context) -> Result<Outcome, Error> {
/// #         Ok(Outcome::success("deployed"))
/// #     }
/// # }
/// # struct Announce;
/// # impl Reporter for Announce {
/// #     const NAME: &'static str = "announce";
/// #     const SUMMARY: &'static str = "Announces.";
/// #     type Parameters = Parameters;
/// #     fn report(_: Parameters, _: &Delivery, _: &ReporterContext) -> Result<ReportOutcome, Error> {
/// #         Ok(ReportOutcome::sent("announced"))
/// #     }
/// # }
/// use toolpost_sdk::Capability;
///
/// toolpost_sdk::plugin! {
///     name: "deployment",
///     description: "Brings what was built to where it runs.",
///     steps: [Deploy],
///     reporters: [Announce],
///     wants: [Capability::HttpHost("chat.example.org".into())],
/// }
///
/// assert_eq!(toolpost_plugin().steps[0].name, "deploy");
/// assert_eq!(toolpost_plugin().reporters[0].name, "announce");
/// ```
///
/// In this order, each of these may be left out; of `steps`, `schedulers` and `reporters`, one has to be there:
///
/// * `name: "..."`, else the name of the package;
/// * `description: "..."`, else the description of the package;
/// * `steps: [...]`, types that are [`Step`](crate::Step);
/// * `schedulers: [...]`, types that are [`Scheduler`](crate::Scheduler);
/// * `reporters: [...]`, types that are [`Reporter`](crate::Reporter);
/// * `wants: [...]`, what the operator has to grant, each a [`Capability`](crate::Capability).
///
/// The version is the package's. The macro adds a function `toolpost_plugin() -> Plugin`, which tests can look at,
/// and in WebAssembly the exports of the contract for the kinds that are there, and no others.
#[macro_export]
macro_rules! plugin {
    (
        $(name: $name:expr,)?
        $(description: $description:expr,)?
        $(steps: [$($step:ty),+ $(,)?] $(,)?)?
        $(schedulers: [$($scheduler:ty),+ $(,)?] $(,)?)?
        $(reporters: [$($reporter:ty),+ $(,)?] $(,)?)?
        $(wants: [$($wants:expr),* $(,)?] $(,)?)?
    ) => {
        /// Describes this plugin.
        #[must_use]
        pub fn toolpost_plugin() -> $crate::Plugin {
            $crate::Plugin {
                name: $crate::__first!($($name,)? env!("CARGO_PKG_NAME")),
                version: env!("CARGO_PKG_VERSION"),
                description: $crate::__first!(
                    $($description,)? env!("CARGO_PKG_DESCRIPTION")
                ),
                steps: vec![$($($crate::StepType::of::<$step>()),+)?],
                schedulers: vec![$($($crate::SchedulerType::of::<$scheduler>()),+)?],
                reporters: vec![$($($crate::ReporterType::of::<$reporter>()),+)?],
                wants: vec![$($($wants),*)?],
            }
        }

        $crate::__export_plugin!(toolpost_plugin);
        $($crate::__export_steps!(toolpost_plugin, $($step),+);)?
        $($crate::__export_schedulers!(toolpost_plugin, $($scheduler),+);)?
        $($crate::__export_reporters!(toolpost_plugin, $($reporter),+);)?
    };
}

/// The first of its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

/// Exports who the plugin is; outside WebAssembly there is nothing to export to.
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
#[macro_export]
macro_rules! __export_plugin {
    ($plugin:path) => {};
}

/// Exports who the plugin is.
///
/// Each interface has a world of its own, and the linker puts together those that a plugin uses: so a component
/// exports what it has, and nothing else.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! __export_plugin {
    ($plugin:path) => {
        const _: () = {
            struct Component;

            impl $crate::exports::plugin::Guest for Component {
                fn describe() -> $crate::exports::plugin::PluginInfo {
                    $crate::exports::describe(&$plugin())
                }
            }

            $crate::exports::plugin_world::export_plugin!(
                Component with_types_in $crate::exports::plugin_world
            );
        };
    };
}

/// Exports the steps of a plugin; outside WebAssembly there is nothing to export to.
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
#[macro_export]
macro_rules! __export_steps {
    ($plugin:path, $($type:ty),+) => {};
}

/// Exports the steps of a plugin.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! __export_steps {
    ($plugin:path, $($type:ty),+) => {
        const _: () = {
            struct Component;

            impl $crate::exports::step::Guest for Component {
                fn run(
                    type_name: String,
                    parameters: String,
                ) -> Result<$crate::exports::step::StepOutcome, $crate::exports::WitError> {
                    $crate::exports::run(&$plugin(), &type_name, &parameters)
                }
            }

            $crate::exports::step_world::export_step!(
                Component with_types_in $crate::exports::step_world
            );
        };
    };
}

/// Exports the schedulers of a plugin; outside WebAssembly there is nothing to export to.
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
#[macro_export]
macro_rules! __export_schedulers {
    ($plugin:path, $($type:ty),+) => {};
}

/// Exports the schedulers of a plugin.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! __export_schedulers {
    ($plugin:path, $($type:ty),+) => {
        const _: () = {
            struct Component;

            impl $crate::exports::scheduler::Guest for Component {
                fn handle(
                    type_name: String,
                    parameters: String,
                    state: String,
                    event: $crate::exports::scheduler::Event,
                    now_ms: u64,
                ) -> Result<$crate::exports::scheduler::Reaction, $crate::exports::WitError>
                {
                    $crate::exports::handle(
                        &$plugin(),
                        &type_name,
                        &parameters,
                        &state,
                        event,
                        now_ms,
                    )
                }
            }

            $crate::exports::scheduler_world::export_scheduler!(
                Component with_types_in $crate::exports::scheduler_world
            );
        };
    };
}

/// Exports the reporters of a plugin; outside WebAssembly there is nothing to export to.
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
#[macro_export]
macro_rules! __export_reporters {
    ($plugin:path, $($type:ty),+) => {};
}

/// Exports the reporters of a plugin.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! __export_reporters {
    ($plugin:path, $($type:ty),+) => {
        const _: () = {
            struct Component;

            impl $crate::exports::reporter::Guest for Component {
                fn report(
                    type_name: String,
                    parameters: String,
                    delivery: $crate::exports::reporter::Delivery,
                ) -> Result<$crate::exports::reporter::Outcome, $crate::exports::WitError> {
                    $crate::exports::report(&$plugin(), &type_name, &parameters, delivery)
                }
            }

            $crate::exports::reporter_world::export_reporter!(
                Component with_types_in $crate::exports::reporter_world
            );
        };
    };
}
