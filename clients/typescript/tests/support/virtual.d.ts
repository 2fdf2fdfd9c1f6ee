declare module "virtual:readme/*" {}
