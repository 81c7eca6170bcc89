namespace Dbt.Translator.State;

/// <summary>EFLAGS bits (SDM vol. 1, 3.4.3).</summary>
public static class Flags
{
#pragma warning disable CS1591 // the manual's own names
    public const uint Cf = 1u << 0;
    public const uint Fixed = 1u << 1;
    public const uint Pf = 1u << 2;
    public const uint Af = 1u << 4;
    public const uint Zf = 1u << 6;
    public const uint Sf = 1u << 7;
    public const uint Tf = 1u << 8;
    public const uint If = 1u << 9;
    public const uint Df = 1u << 10;
    public const uint Of = 1u << 11;
    public const uint Iopl = 3u << 12;
    public const uint Nt = 1u << 14;
    public const uint Rf = 1u << 16;
    public const uint Vm = 1u << 17;
    public const uint Ac = 1u << 18;
    public const uint Vif = 1u << 19;
    public const uint Vip = 1u << 20;
    public const uint Id = 1u << 21;
#pragma warning restore CS1591

    /// <summary>The six status flags, which <see cref="FlagOperation"/> may hold lazily.</summary>
    public const uint Status = Cf | Pf | Af | Zf | Sf | Of;
}

/// <summary>
/// How the six status flags are held. The last operation that set them leaves its operands and result
/// (truncated to its size, zero-extended) in <see cref="CpuState"/>; LazyFlags computes from those.
/// </summary>
public enum FlagOperation : uint
{
    /// <summary>Status flags are in <see cref="CpuState.Eflags"/>.</summary>
    Materialised = 0,

    /// <summary>FlagResult = FlagA + FlagB.</summary>
    Add = 1,

    /// <summary>FlagResult = FlagA - FlagB (also CMP).</summary>
    Subtract = 2,

    /// <summary>AND, OR, XOR, TEST: CF and OF clear, AF clear (undefined by the manual; clear on every real CPU seen).</summary>
    Logic = 3,

    /// <summary>FlagResult = FlagA + 1; CF is kept in FlagB (0 or 1).</summary>
    Increment = 4,

    /// <summary>FlagResult = FlagA - 1; CF is kept in FlagB (0 or 1).</summary>
    Decrement = 5,
}
