// Runs within Buildbot's web interface, as one of its plugins: an entry of the menu that leads to Toolpost's own pages.
(() => {
  const { createElement, useEffect } = window.React;
  const shape = "M3 3h18v5H3zM9 9h6v3h5v4h-5v2H9v-2H4v-4h5zM6 19h12v3H6z";
  const icon = createElement(
    "svg",
    { viewBox: "0 0 24 24", width: "1em", height: "1em", "aria-hidden": true },
    createElement("path", { fill: "currentColor", d: shape }),
  );
  // In place of the page that is left, so that going back does not lead here again.
  const Leave = () => {
    useEffect(() => window.location.replace("home"), []);
    return createElement("p", null, createElement("a", { href: "home" }, "The pages of Toolpost"));
  };
  window.BuildbotPluginSupport.buildbotSetupPlugin((registration) => {
    registration.registerMenuGroup({
      name: "toolpost",
      caption: "Toolpost pages",
      icon,
      order: 98,
      route: "/toolpost",
      parentName: null,
    });
    registration.registerRoute({
      route: "/toolpost",
      group: "toolpost",
      element: () => createElement(Leave),
    });
  });
})();
