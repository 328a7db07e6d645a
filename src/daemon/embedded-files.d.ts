declare module '*/naru-helper' {
  const path: string;
  export default path;
}
declare module '*/hello' {
  const path: string;
  export default path;
}
