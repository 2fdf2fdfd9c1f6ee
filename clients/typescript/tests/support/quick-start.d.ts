declare module "virtual:quick-start" {}
