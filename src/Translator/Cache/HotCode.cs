namespace Dbt.Translator.Cache;

/// <summary>A block that the interpreter has decoded and run.</summary>
/// <param name="Host">Host address of its first byte.</param>
/// <param name="Eip">Its EIP.</param>
/// <param name="Mode">Its <see cref="State.CpuMode"/>.</param>
public readonly record struct HotBlock(nint Host, uint Eip, uint Mode);

/// <summary>A region that is installed.</summary>
/// <param name="Eip">EIP of its main entry.</param>
/// <param name="Mode">Its <see cref="State.CpuMode"/>.</param>
/// <param name="Pages">Numbers of the linear pages that it lies on, and the host address of each.</param>
public sealed record HotRegion(uint Eip, uint Mode, IReadOnlyList<(uint Page, nint Host)> Pages);

/// <summary>
/// What code an engine has run, so that another that goes on with the same guest can have it ready. It says where code is, not what it is: an engine that is told
/// nonsense decodes the bytes that are there for nothing.
/// </summary>
/// <param name="Blocks">Blocks that are interpreted, those that ran most first.</param>
/// <param name="Regions">Compiled regions.</param>
public sealed record HotCode(IReadOnlyList<HotBlock> Blocks, IReadOnlyList<HotRegion> Regions);
