namespace Dbt.Translator.Interpretation.Native;

/// <summary>Which registers of the FX area an instruction works on, which decides its faults.</summary>
internal enum NativeClass
{
    /// <summary>x87.</summary>
    X87,

    /// <summary>MMX, also mixed with XMM.</summary>
    Mmx,

    /// <summary>XMM only.</summary>
    Sse,
}

/// <summary>
/// One floating-point or SIMD instruction as host code (its guest encoding with the memory operand replaced by [rsi] and an
/// explicit general register by r8d), or as managed code that does the same.
/// </summary>
internal sealed unsafe class NativeThunk
{
    /// <summary>The host code: FX area, memory operand, register block. Null where <see cref="Managed"/> is set.</summary>
    public required delegate* unmanaged[SuppressGCTransition]<byte*, byte*, NativeRegisters*, void> Code { get; set; }

    /// <summary>
    /// The same under the host's MXCSR, for a guest whose own differs only in flags; null where there is none. To load MXCSR twice takes
    /// far longer than most instructions. Its flags afterwards are in the register block, and may be older than the instruction.
    /// </summary>
    public delegate* unmanaged[SuppressGCTransition]<byte*, byte*, NativeRegisters*, void> Quick { get; set; }

    /// <summary>The managed code, or null.</summary>
    public required ManagedRoutine? Managed { get; init; }

    /// <summary>For x87 instructions by the host's code that have one: the form for the ordinary case.</summary>
    public FastX87? Fast { get; init; }

    /// <summary>What it works on.</summary>
    public required NativeClass Class { get; init; }

    /// <summary>Whether it names an XMM register, which CR4.OSFXSR must allow.</summary>
    public required bool UsesXmm { get; init; }

    /// <summary>Whether MXCSR steers it or receives exceptions.</summary>
    public required bool UsesMxcsr { get; init; }

    /// <summary>Whether the code loads and stores the whole area, not just the XMM registers it names.</summary>
    public required bool WholeArea { get; init; }

    /// <summary>Whether the code expects an area in MMX mode (<see cref="FxState.EnterMmx"/>), and works on the registers it names in place.</summary>
    public bool ExpectsMmx => Class == NativeClass.Mmx && !WholeArea;

    /// <summary>Bytes of the memory operand; 0 for none.</summary>
    public required int MemorySize { get; init; }

    /// <summary>Whether memory is read, and written.</summary>
    public required bool ReadsMemory { get; init; }

    /// <inheritdoc cref="ReadsMemory"/>
    public required bool WritesMemory { get; init; }

    /// <summary>A misaligned 16-byte operand is #GP(0).</summary>
    public required bool Aligned { get; init; }

    /// <summary>Byte offset of the explicit general register in the state's registers, or -1.</summary>
    public required int Register { get; init; }

    /// <summary>Whether that register is written.</summary>
    public required bool WritesRegister { get; init; }

    /// <summary>Whether EAX and EDX are read and ECX is written (PCMPESTRI and its kind).</summary>
    public required bool WritesEcx { get; init; }

    /// <summary>Whether status flags are read (FCMOVcc), and written (FCOMI, COMISS, PTEST).</summary>
    public required bool ReadsFlags { get; init; }

    /// <inheritdoc cref="ReadsFlags"/>
    public required bool WritesFlags { get; init; }

    /// <summary>The XMM register written, or -1; used where <see cref="WholeArea"/> is false.</summary>
    public required int WrittenXmm { get; init; }

    /// <summary>Executes it.</summary>
    public void Run(byte* area, byte* memory, NativeRegisters* registers)
    {
        if (Code != null)
        {
            Code(area, memory, registers);
        }
        else
        {
            Managed!.Run(area, memory, registers);
        }
    }
}

/// <summary>What passes between a thunk and its caller, at fixed offsets.</summary>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 64)]
internal unsafe struct NativeRegisters
{
    /// <summary>EAX.</summary>
    [System.Runtime.InteropServices.FieldOffset(0)]
    public uint Eax;

    /// <summary>ECX.</summary>
    [System.Runtime.InteropServices.FieldOffset(4)]
    public uint Ecx;

    /// <summary>EDX.</summary>
    [System.Runtime.InteropServices.FieldOffset(8)]
    public uint Edx;

    /// <summary>The explicit general register.</summary>
    [System.Runtime.InteropServices.FieldOffset(12)]
    public uint Explicit;

    /// <summary>Status flags, in and out.</summary>
    [System.Runtime.InteropServices.FieldOffset(16)]
    public uint Eflags;

    /// <summary>The host's MXCSR while the thunk runs.</summary>
    [System.Runtime.InteropServices.FieldOffset(20)]
    public uint HostMxcsr;

    /// <summary>MXCSR for the instruction, all exceptions masked; its flags afterwards.</summary>
    [System.Runtime.InteropServices.FieldOffset(24)]
    public uint Mxcsr;

    /// <summary>The XMM register written.</summary>
    [System.Runtime.InteropServices.FieldOffset(32)]
    public fixed byte Xmm[16];
}
