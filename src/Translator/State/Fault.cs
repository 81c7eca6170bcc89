using System.Runtime.InteropServices;

namespace Dbt.Translator.State;

/// <summary>Exception vectors (SDM vol. 3, table 6-1).</summary>
public enum Vector
{
#pragma warning disable CS1591 // the manual's own names
    DivideError = 0, Debug = 1, Nmi = 2, Breakpoint = 3, Overflow = 4, BoundRange = 5, InvalidOpcode = 6,
    DeviceNotAvailable = 7, DoubleFault = 8, InvalidTss = 10, SegmentNotPresent = 11, StackFault = 12,
    GeneralProtection = 13, PageFault = 14, X87 = 16, AlignmentCheck = 17, MachineCheck = 18, Simd = 19,
#pragma warning restore CS1591
}

/// <summary>
/// An architectural fault that an instruction met, on its way to the guest. Never a .NET exception.
/// The instruction that faults leaves registers and memory as they were (SDM vol. 3, 6.5).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct Fault
{
    /// <summary>Vector, 0 to 31.</summary>
    public Vector Vector;

    /// <summary>Error code; 0 for vectors that push none.</summary>
    public uint ErrorCode;

    /// <summary>Faulting linear address for <see cref="Vector.PageFault"/>.</summary>
    public uint Address;

    /// <summary>True for vectors 8, 10 to 14 and 17, which push an error code.</summary>
    public readonly bool HasErrorCode => Vector is Vector.DoubleFault or (>= Vector.InvalidTss and <= Vector.PageFault) or Vector.AlignmentCheck;
}

/// <summary>Bits of a page fault's error code (SDM vol. 3, figure 4-12).</summary>
[Flags]
public enum PageFaultCode : uint
{
    /// <summary>Not-present page, supervisor read.</summary>
    None = 0,

    /// <summary>A protection violation, not an absent page.</summary>
    Protection = 1,

    /// <summary>A write.</summary>
    Write = 2,

    /// <summary>At CPL 3.</summary>
    User = 4,

    /// <summary>A reserved bit was set in an entry.</summary>
    Reserved = 8,

    /// <summary>An instruction fetch (only with NX enabled).</summary>
    Fetch = 16,
}
