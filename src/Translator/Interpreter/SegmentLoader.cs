using Dbt.Translator.State;

namespace Dbt.Translator;

/// <summary>Segment-register loads with the processor's checks (SDM vol. 3, 5.5 to 5.8; vol. 2, MOV and RET).</summary>
public static unsafe class SegmentLoader
{
    /// <summary>The segment that a load of <paramref name="selector"/> into a data segment register or SS would give.</summary>
    /// <param name="platform">Reads the descriptor.</param>
    /// <param name="cpu">The processor; on failure its <see cref="CpuState.Fault"/> is set.</param>
    /// <param name="index">SS, DS, ES, FS or GS.</param>
    /// <param name="selector">The selector.</param>
    /// <param name="cpl">The privilege level to check against: the current one, or that returned to.</param>
    /// <param name="segment">The result, to be stored and followed by <see cref="CpuState.RefreshMode"/>.</param>
    /// <returns>False for #GP, #SS or #NP.</returns>
    public static bool TryLoad(Platform platform, CpuState* cpu, SegmentIndex index, ushort selector, int cpl, out Segment segment)
    {
        uint error = selector & 0xFFFCu;
        segment = Segment.Null(selector);
        if (error == 0)
        {
            return index != SegmentIndex.Ss || Fail(cpu, Vector.GeneralProtection, 0);
        }

        if (!platform.TryReadDescriptor(cpu, selector, out ulong descriptor))
        {
            return !platform.TakeDescriptorFault(cpu) && Fail(cpu, Vector.GeneralProtection, error);
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        int rpl = selector & 3;
        if (index == SegmentIndex.Ss)
        {
            if (rpl != cpl || segment.Dpl != cpl || !segment.Writable)
            {
                return Fail(cpu, Vector.GeneralProtection, error);
            }

            return segment.Present ? platform.TrySetAccessed(cpu, ref segment) : Fail(cpu, Vector.StackFault, error);
        }

        bool conforming = (segment.Attributes & 0x1C) == 0x1C;
        if (!segment.Readable || (!conforming && Math.Max(rpl, cpl) > segment.Dpl))
        {
            return Fail(cpu, Vector.GeneralProtection, error);
        }

        return segment.Present ? platform.TrySetAccessed(cpu, ref segment) : Fail(cpu, Vector.SegmentNotPresent, error);
    }

    /// <summary>The code segment of a return to <paramref name="selector"/>'s RPL, or a transfer at the present level.</summary>
    /// <param name="platform">Reads the descriptor.</param>
    /// <param name="cpu">The processor; on failure its <see cref="CpuState.Fault"/> is set.</param>
    /// <param name="selector">The selector.</param>
    /// <param name="level">The privilege level that the code is to run at; the stored selector gets it as RPL.</param>
    /// <param name="segment">The result.</param>
    /// <returns>False for #GP or #NP.</returns>
    public static bool TryLoadCode(Platform platform, CpuState* cpu, ushort selector, int level, out Segment segment)
    {
        segment = default;
        uint error = selector & 0xFFFCu;
        if (error == 0)
        {
            return Fail(cpu, Vector.GeneralProtection, 0);
        }

        if (!platform.TryReadDescriptor(cpu, selector, out ulong descriptor))
        {
            return !platform.TakeDescriptorFault(cpu) && Fail(cpu, Vector.GeneralProtection, error);
        }

        segment = Segment.FromDescriptor((ushort)(error | (uint)level), descriptor);
        bool conforming = (segment.Attributes & 4) != 0;
        if (!segment.IsCode || (conforming ? segment.Dpl > level : segment.Dpl != level))
        {
            return Fail(cpu, Vector.GeneralProtection, error);
        }

        return segment.Present || Fail(cpu, Vector.SegmentNotPresent, error);
    }

    /// <summary>Nulls the data segments that the level just returned to may not use (SDM vol. 2, RET, operation).</summary>
    public static void DropInnerSegments(CpuState* cpu)
    {
        foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
        {
            ref Segment segment = ref cpu->Segments[index];
            bool conforming = (segment.Attributes & 0x1C) == 0x1C;
            if (!conforming && segment.Dpl < cpu->Cpl && segment.Present)
            {
                segment = Segment.Null(0);
            }
        }
    }

    private static bool Fail(CpuState* cpu, Vector vector, uint error)
    {
        cpu->Fault = new Fault { Vector = vector, ErrorCode = error };
        return false;
    }
}
