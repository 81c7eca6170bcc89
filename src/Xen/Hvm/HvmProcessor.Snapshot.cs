using Dbt.Translator.Protection;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Hvm;

/// <content>Going on elsewhere.</content>
internal sealed unsafe partial class HvmProcessor
{
    private const int VariableMtrrs = 16, FixedMtrrs = 11, DirectoryPointers = 4;

    /// <summary>Writes what <see cref="Translator.State.CpuState"/> does not hold.</summary>
    public void Capture(SectionWriter writer)
    {
        NativeSystemState system = CaptureSystemState();
        writer.UInt64(system.Efer);
        writer.UInt32(system.SystemEnter.Cs);
        writer.UInt32(system.SystemEnter.Esp);
        writer.UInt32(system.SystemEnter.Eip);
        writer.UInt64(system.Pat);
        writer.UInt64(system.MtrrDefault);
        foreach (ulong value in (ReadOnlySpan<ulong>)[.. system.MtrrVariable, .. system.MtrrFixed, .. system.DirectoryPointers])
        {
            writer.UInt64(value);
        }

        writer.Flag(system.NmiBlocked);
        writer.UInt64(_tscOffset);
        writer.Flag(_halted);
        writer.Flag(Volatile.Read(ref _init) != 0);
        writer.Flag(Volatile.Read(ref _waitsForStart));
        int start = Volatile.Read(ref _start);
        writer.Flag(start >= 0);
        writer.Byte(start >= 0 ? (byte)start : (byte)0);
        writer.Byte(UpcallVector);
        Apic.Capture(writer);
    }

    /// <summary>Takes it up; the registers have been.</summary>
    public void Restore(SectionReader reader, long now, bool fresh)
    {
        ulong efer = reader.UInt64();
        (uint, uint, uint) enter = (reader.UInt32(), reader.UInt32(), reader.UInt32());
        ulong pat = reader.UInt64(), mtrrDefault = reader.UInt64();
        ulong[] variable = Words(reader, VariableMtrrs), fix = Words(reader, FixedMtrrs), pointers = Words(reader, DirectoryPointers);
        var system = new NativeSystemState
        {
            Efer = efer,
            SystemEnter = enter,
            Pat = pat,
            MtrrDefault = mtrrDefault,
            MtrrVariable = variable,
            MtrrFixed = fix,
            DirectoryPointers = pointers,
            NmiBlocked = reader.Flag(),
        };
        if (!TryRestoreSystemState(system))
        {
            throw reader.Error("the processor's system registers hold what it can't have");
        }

        _tscOffset = reader.UInt64();
        _halted = reader.Flag();
        _init = reader.Flag() ? 1 : 0;
        _waitsForStart = reader.Flag();
        bool starts = reader.Flag();
        byte vector = reader.Byte();
        _start = starts ? vector : NoStart;
        byte upcall = reader.Byte();
        if (upcall is not 0 and < HvmOp.LeastVector)
        {
            throw reader.Error("the vector of upcalls is an exception's");
        }

        UpcallVector = fresh ? (byte)0 : upcall;
        Apic.Restore(reader, now);
        reader.End();
    }

    private static ulong[] Words(SectionReader reader, int count)
    {
        ulong[] words = new ulong[count];
        foreach (ref ulong word in words.AsSpan())
        {
            word = reader.UInt64();
        }

        return words;
    }
}
