//! Generated from the WIT files of the contract, which have its documentation.
//!
//! The imports are one world, and each export is one of its own, so that a component can have any of them. The linker puts
//! together the worlds of the parts that a plugin uses; imports that it does not call are left out.

/// What a plugin may import.
pub(super) mod imports {
    wit_bindgen::generate!({
        path: "../../wit/toolpost-plugin-1.0",
        inline: "
            package toolpost:sdk;

            world imports {
                import toolpost:plugin/types@1.0.0;
                import toolpost:plugin/log@1.0.0;
                import toolpost:plugin/properties@1.0.0;
                import toolpost:plugin/step-logs@1.0.0;
                import toolpost:plugin/commands@1.0.0;
                import toolpost:plugin/worker-files@1.0.0;
                import toolpost:plugin/step-status@1.0.0;
                import toolpost:plugin/build-info@1.0.0;
                import toolpost:plugin/build-data@1.0.0;
                import toolpost:plugin/test-results@1.0.0;
                import toolpost:plugin/artifacts@1.0.0;
                import toolpost:plugin/triggers@1.0.0;
                import toolpost:plugin/cancellation@1.0.0;
                import toolpost:plugin/secrets@1.0.0;
                import toolpost:plugin/key-value@1.0.0;
                import toolpost:plugin/templates@1.0.0;
                import toolpost:plugin/mail@1.0.0;
                import toolpost:plugin/reports@1.0.0;
            }
        ",
        generate_all,
    });
}

/// What WASI has for HTTP requests.
pub(crate) mod http {
    wit_bindgen::generate!({
        path: ["wit/wasi/io.wit", "wit/wasi/clocks.wit", "wit/wasi/http.wit"],
        inline: "
            package toolpost:sdk;

            world requests {
                import wasi:io/poll@0.2.12;
                import wasi:clocks/monotonic-clock@0.2.12;
                import wasi:http/types@0.2.12;
                import wasi:http/outgoing-handler@0.2.12;
            }
        ",
        generate_all,
    });
}

/// The export of who the plugin is.
#[doc(hidden)]
pub mod plugin_world {
    wit_bindgen::generate!({
        path: "../../wit/toolpost-plugin-1.0",
        inline: "
            package toolpost:sdk;

            world exports-plugin {
                export toolpost:plugin/plugin@1.0.0;
            }
        ",
        with: {
            "toolpost:plugin/types@1.0.0": super::imports::toolpost::plugin::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_plugin",
        default_bindings_module: "toolpost_sdk::exports::plugin_world",
    });
}

/// The export of steps.
#[doc(hidden)]
pub mod step_world {
    wit_bindgen::generate!({
        path: "../../wit/toolpost-plugin-1.0",
        inline: "
            package toolpost:sdk;

            world exports-step {
                export toolpost:plugin/step@1.0.0;
            }
        ",
        with: {
            "toolpost:plugin/types@1.0.0": super::imports::toolpost::plugin::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_step",
        default_bindings_module: "toolpost_sdk::exports::step_world",
    });
}

/// The export of schedulers.
#[doc(hidden)]
pub mod scheduler_world {
    wit_bindgen::generate!({
        path: "../../wit/toolpost-plugin-1.0",
        inline: "
            package toolpost:sdk;

            world exports-scheduler {
                export toolpost:plugin/scheduler@1.0.0;
            }
        ",
        with: {
            "toolpost:plugin/types@1.0.0": super::imports::toolpost::plugin::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_scheduler",
        default_bindings_module: "toolpost_sdk::exports::scheduler_world",
    });
}

/// The export of reporters.
#[doc(hidden)]
pub mod reporter_world {
    wit_bindgen::generate!({
        path: "../../wit/toolpost-plugin-1.0",
        inline: "
            package toolpost:sdk;

            world exports-reporter {
                export toolpost:plugin/reporter@1.0.0;
            }
        ",
        with: {
            "toolpost:plugin/types@1.0.0": super::imports::toolpost::plugin::types,
            "toolpost:plugin/reports@1.0.0": super::imports::toolpost::plugin::reports,
        },
        pub_export_macro: true,
        export_macro_name: "export_reporter",
        default_bindings_module: "toolpost_sdk::exports::reporter_world",
    });
}
