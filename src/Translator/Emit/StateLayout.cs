using System.Runtime.InteropServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>Byte offsets of <see cref="CpuState"/>'s fields, for emitted code.</summary>
internal static unsafe class StateLayout
{
    // Only differences of addresses are taken; a real object, because the runtime touches what a field's address is taken of.
    private static readonly CpuState* State = CpuState.Allocate();

    public static readonly int Eip = Offset(&State->Eip);
    public static readonly int FlagOp = Offset(&State->FlagOp);
    public static readonly int FlagA = Offset(&State->FlagA);
    public static readonly int FlagB = Offset(&State->FlagB);
    public static readonly int FlagResult = Offset(&State->FlagResult);
    public static readonly int Eflags = Offset(&State->Eflags);
    public static readonly int Mode = Offset(&State->Mode);
    public static readonly int KernelUsesGs = Offset(&State->KernelUsesGs);
    public static readonly int GdtrBase = Offset(&State->GdtrBase);
    public static readonly int GdtrLimit = Offset(&State->GdtrLimit);
    public static readonly int Cr4 = Offset(&State->Cr4);
    public static readonly int TscAux = Offset(&State->TscAux);
    public static readonly int Cpl = Offset(&State->Cpl);
#pragma warning disable CS0420 // only its address is wanted
    public static readonly int Attention = Offset(&State->Attention);
    public static readonly int InterruptWaits = Offset(&State->InterruptWaits);
#pragma warning restore CS0420
    public static readonly int Tlb = Offset(&State->Tlb);
    public static readonly int ExitInfo = Offset(&State->ExitInfo);
    public static readonly int Fx = Offset(&State->Fx);
    public static readonly int FxLive = Offset(&State->FxLive);
    public static readonly int LiveUnits = Offset(&State->LiveUnits);
    public static readonly int HostMxcsr = Offset(&State->HostMxcsr);
    public static readonly int Scratch = Offset(&State->Scratch0);
    public static readonly int X87Last = Offset(&State->X87Last);
    public static readonly int X87Data = Offset(&State->X87Data);
    public static readonly int OpaqueZeros = Offset(&State->OpaqueZeros);
    public static readonly int OpaqueOnes = Offset(&State->OpaqueOnes);
    public static readonly int ActivateCode = Offset(&State->ActivateCode);
    public static readonly int HarvestCode = Offset(&State->HarvestCode);
    public static readonly int HarvestX87Code = Offset(&State->HarvestX87Code);
    public static readonly int Window = Offset(&State->Window);
    public static readonly int NoFault = (int)Marshal.OffsetOf<CpuState>(nameof(CpuState.NoFault));
    public static readonly int Zero = (int)Marshal.OffsetOf<CpuState>(nameof(CpuState.Zero));
    public static readonly int NoRepeat = (int)Marshal.OffsetOf<CpuState>(nameof(CpuState.NoRepeat));
    public static readonly int JumpTable = Offset(&State->JumpTable);
    public static readonly int RetiredQuick = Offset(&State->RetiredQuick);
    public static readonly int RetiredOptimized = Offset(&State->RetiredOptimized);

    /// <summary>A general register, 0 (EAX) to 7 (EDI).</summary>
    public static int Gpr(int register) => register * 4;

    /// <summary>An MMX register, where TOP is 0.</summary>
    public static int Mm(int register) => Fx + 32 + (register * 16);

    /// <summary>An XMM register.</summary>
    public static int Xmm(int register) => Fx + 160 + (register * 16);

    /// <summary>The base address of a segment register.</summary>
    public static int SegmentBase(SegmentIndex index) =>
        Offset(&State->Segments) + ((int)index * sizeof(Segment));

    /// <summary>The selector of a segment register.</summary>
    public static int SegmentSelector(SegmentIndex index) => SegmentField(index, nameof(Segment.Selector));

    /// <summary>A field of a segment register, by its name.</summary>
    public static int SegmentField(SegmentIndex index, string field) => SegmentBase(index) + (int)Marshal.OffsetOf<Segment>(field);

    private static int Offset(void* field) => (int)((nint)field - (nint)State);
}
