namespace Dbt.Translator.State;

/// <summary>Floating-point state that translated code keeps in the host's own registers while it runs.</summary>
[Flags]
public enum LiveUnit
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>MXCSR.</summary>
    Mxcsr = 1,

    /// <summary>The x87 unit.</summary>
    X87 = 2,
}

/// <summary>
/// What a translation depends on besides the code bytes: part of every block's key.
/// Recomputed by <see cref="CpuState.RefreshMode"/> when a segment register, the CPL or TF changes.
/// </summary>
[Flags]
public enum CpuMode : uint
{
    /// <summary>16-bit code, 16-bit stack, ring 0, segments not flat.</summary>
    None = 0,

    /// <summary>CPL is 3: the software TLB's user half is in force.</summary>
    User = 1,

    /// <summary>CS.D: 32-bit operands and addresses by default.</summary>
    Code32 = 2,

    /// <summary>SS.B: the stack pointer is ESP, not SP.</summary>
    Stack32 = 4,

    /// <summary>CS, DS, ES, SS have base 0 and a 4-GiB limit, DS, ES and SS are writable.</summary>
    Flat = 8,

    /// <summary>FS spans 4 GiB and is writable (any base).</summary>
    FsSimple = 16,

    /// <summary>GS spans 4 GiB and is writable (any base); outside of ring 3 only where <see cref="CpuState.KernelUsesGs"/>.</summary>
    GsSimple = 32,

    /// <summary>EFLAGS.TF or RF, or a breakpoint enabled in DR7: the interpreter runs one instruction at a time.</summary>
    SingleStep = 64,

    /// <summary>CR0.TS or CR0.EM: FPU instructions must fault, so they are not translated.</summary>
    FpuTrap = 128,

    /// <summary>Privilege levels 1 and 2 (bit 8..9 hold the CPL itself).</summary>
    CplShift0 = 256,

    /// <summary>Second bit of the CPL.</summary>
    CplShift1 = 512,

    /// <summary>Every data access is looked at one by one: a breakpoint is enabled in DR7, or alignment is checked.</summary>
    Watched = 1024,

    /// <summary>CR0.AM and EFLAGS.AC at CPL 3: unaligned accesses fault. Comes with <see cref="Watched"/>.</summary>
    Aligned = 2048,

    /// <summary>EFLAGS.VM, or real mode: segments are sixteen times their selector. 16-bit, so always interpreted.</summary>
    Virtual8086 = 4096,

    /// <summary>CR0.TS, CR0.EM, or CR4.OSFXSR clear: SSE instructions must fault, so they are not translated.</summary>
    SseTrap = 8192,

    /// <summary>No mode of the processor: marks, in the key of a block, code in which each access is checked by itself.</summary>
    Apart = 16384,

    /// <summary>No mode of the processor: marks, in the key of a block, code that reaches memory by <see cref="CpuState.Window"/>.</summary>
    Window = 32768,
}
