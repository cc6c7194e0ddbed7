// The export that every plugin has.

/** `plugin` of the contract. */
export function pluginExport(plugin) {
  // Made when the component is built: a module's values are part of it.
  const types = (table) =>
    Object.entries(table).map(([name, { summary, parameters, force }]) => ({
      name,
      summary,
      parametersSchema: JSON.stringify(parameters),
      forceSchema: force && JSON.stringify(force),
    }));
  const description = {
    name: plugin.name,
    version: plugin.version,
    description: plugin.description,
    steps: types(plugin.steps),
    schedulers: types(plugin.schedulers),
    reporters: types(plugin.reporters),
    wants: plugin.wants,
  };
  return { describe: () => description };
}
