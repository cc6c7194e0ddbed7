wasmtime::component::bindgen!({
    path: "../../wit/toolpost-plugin-1.0",
    world: "step-plugin",
    imports: { default: async | trappable },
    exports: { default: async },
});
