//! Rust types and traits of the contract, generated from `wit/`.

wasmtime::component::bindgen!({
    path: "../../wit/toolpost-plugin-1.0",
    world: "all-kinds",
    imports: { default: async | trappable },
    exports: { default: async },
    additional_derives: [PartialEq],
    with: {
        "toolpost:plugin/step-logs.step-log": crate::imports::LogHandle,
        "toolpost:plugin/commands.running-command": crate::imports::CommandHandle,
        "toolpost:plugin/test-results.test-result-set": crate::imports::TestSetHandle,
        "toolpost:plugin/triggers.triggered": crate::imports::TriggerHandle,
    },
});
