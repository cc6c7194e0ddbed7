// Says what the plugin in the current directory is. Run in the plugin's own surroundings, so that it finds its SDK.
import { pathToFileURL } from "node:url";

const { manifest } = await import("toolpost-sdk/manifest");
const file = `${process.cwd()}/plugin.js`;
console.log(JSON.stringify(manifest(await import(pathToFileURL(file)), "plugin.js")));
