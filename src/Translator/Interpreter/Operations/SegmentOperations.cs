using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>Which segment register LDS, LES, LFS, LGS and LSS load.</summary>
internal interface IFarPointerTarget
{
    /// <summary>The register.</summary>
    static abstract SegmentIndex Index { get; }
}

/// <summary>MOV, PUSH and POP of segment registers, LDS to LSS, LAR, LSL, VERR, VERW, ARPL.</summary>
internal static unsafe class SegmentOperations
{
    /// <summary>MOV to or from a segment register.</summary>
    public static bool MovSegment(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (d.Kind0 == OperandKind.Other)
        {
            var index = (SegmentIndex)d.Register0;
            if (index == SegmentIndex.Cs)
            {
                return Interpreter.Undefined(cpu);
            }

            return interpreter.TryOperand1(cpu, in d, 2, out uint selector) && Load(interpreter, cpu, index, (ushort)selector);
        }

        uint value = cpu->Segments[d.Register1].Selector;
        return interpreter.TryStore0(cpu, in d, d.Kind0 == OperandKind.Memory ? 2 : d.Size, value);
    }

    /// <summary>PUSH of a segment register, zero-extended.</summary>
    public static bool PushSegment(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.Push(cpu, in d, d.Size, cpu->Segments[d.Register0].Selector);

    /// <summary>POP of a segment register.</summary>
    public static bool PopSegment(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d), d.Size, MemoryAccess.Read);
        if (stack == null || !Load(interpreter, cpu, (SegmentIndex)d.Register0, (ushort)Interpreter.Load(stack, 2)))
        {
            return false;
        }

        // The size of the stack pointer is that of before, also where SS was loaded (d holds it).
        Interpreter.MoveStack(cpu, in d, d.Size);
        return true;
    }

    /// <summary>LDS, LES, LFS, LGS, LSS.</summary>
    public static bool LoadFarPointer<TTarget>(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
        where TTarget : struct, IFarPointerTarget
    {
        if (!interpreter.TryFarPointer(cpu, in d, out uint offset, out ushort selector) || !Load(interpreter, cpu, TTarget.Index, selector))
        {
            return false;
        }

        // Intel and AMD hold interrupts off after MOV SS and POP SS only; LSS loads the pointer at once.
        cpu->InterruptShadow = 0;
        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, offset);
        return true;
    }

    /// <summary>LAR.</summary>
    public static bool Lar(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 2, out uint selector))
        {
            return false;
        }

        // The limit's bits 19:16, undefined by the manual, come along on the processors seen.
        // Types: available and busy TSS, LDT, call gates, task gate (SDM vol. 2, LAR).
        if (!TryVisible(interpreter, cpu, (ushort)selector, 0b0001_1010_0011_1110, out bool visible, out _, out ulong descriptor))
        {
            return false;
        }

        if (SetZero(cpu, visible))
        {
            Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, (uint)(descriptor >> 32) & 0x00FFFF00);
        }

        return true;
    }

    /// <summary>LSL.</summary>
    public static bool Lsl(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand1(cpu, in d, 2, out uint selector))
        {
            return false;
        }

        if (!TryVisible(interpreter, cpu, (ushort)selector, 0b0000_1010_0000_1110, out bool visible, out _, out ulong descriptor))
        {
            return false;
        }

        if (SetZero(cpu, visible))
        {
            uint limit = (uint)(descriptor & 0xFFFF) | (uint)((descriptor >> 32) & 0xF0000);
            if ((descriptor & (1UL << 55)) != 0)
            {
                limit = (limit << 12) | 0xFFF;
            }

            Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, limit);
        }

        return true;
    }

    /// <summary>VERR.</summary>
    public static bool Verr(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand0(cpu, in d, 2, out uint selector))
        {
            return false;
        }

        if (!TryVisible(interpreter, cpu, (ushort)selector, 0, out bool visible, out Segment segment, out _))
        {
            return false;
        }

        SetZero(cpu, visible && segment.Readable);
        return true;
    }

    /// <summary>VERW.</summary>
    public static bool Verw(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand0(cpu, in d, 2, out uint selector))
        {
            return false;
        }

        if (!TryVisible(interpreter, cpu, (ushort)selector, 0, out bool visible, out Segment segment, out _))
        {
            return false;
        }

        SetZero(cpu, visible && segment.Writable);
        return true;
    }

    /// <summary>ARPL.</summary>
    public static bool Arpl(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if ((cpu->Mode & CpuMode.Virtual8086) != 0)
        {
            return Interpreter.Undefined(cpu);
        }

        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        // Only a change is written.
        uint destination = Interpreter.Load(pointer, 2);
        uint rpl = Interpreter.Load(Interpreter.Register(cpu, d.Register1), 2) & 3;
        bool raised = (destination & 3) < rpl;
        if (raised)
        {
            pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
            if (pointer == null)
            {
                return false;
            }

            Interpreter.Store(pointer, 2, (destination & ~3u) | rpl);
            interpreter.Commit(cpu);
        }

        SetZero(cpu, raised);
        return true;
    }

    /// <summary>Loads a data segment register or SS; the shadow follows a load of SS.</summary>
    private static bool Load(Interpreter interpreter, CpuState* cpu, SegmentIndex index, ushort selector)
    {
        Segment segment;
        if ((cpu->Mode & CpuMode.Virtual8086) != 0)
        {
            segment = Virtual8086.SegmentOf(selector);
        }
        else if (!SegmentLoader.TryLoad(interpreter.Platform, cpu, index, selector, cpu->Cpl, out segment))
        {
            return false;
        }

        cpu->Segments[index] = segment;
        if (index == SegmentIndex.Ss)
        {
            cpu->InterruptShadow = Interpreter.HoldsTraps;
        }

        cpu->RefreshMode();
        return true;
    }

    // Whether a descriptor can be seen at this level. System segments only of the given types (a bit mask). False for a fault.
    private static bool TryVisible(
        Interpreter interpreter, CpuState* cpu, ushort selector, int systemTypes, out bool visible, out Segment segment, out ulong descriptor)
    {
        segment = default;
        descriptor = 0;
        visible = false;
        if ((cpu->Mode & CpuMode.Virtual8086) != 0)
        {
            return Interpreter.Undefined(cpu);
        }

        if ((selector & 0xFFFC) == 0)
        {
            return true;
        }

        if (!interpreter.Platform.TryReadDescriptor(cpu, selector, out descriptor))
        {
            return !interpreter.Platform.TakeDescriptorFault(cpu);
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        bool seen = (segment.Attributes & 0x10) != 0 || ((systemTypes >> segment.Type) & 1) != 0;
        bool conforming = (segment.Attributes & 0x1C) == 0x1C;
        visible = seen && (conforming || segment.Dpl >= Math.Max(cpu->Cpl, selector & 3));
        return true;
    }

    private static bool SetZero(CpuState* cpu, bool value)
    {
        LazyFlags.SetStatus(cpu, (LazyFlags.Status(cpu) & ~Flags.Zf) | (value ? Flags.Zf : 0));
        return value;
    }
}

/// <summary>LDS.</summary>
internal readonly struct LoadDs : IFarPointerTarget
{
    public static SegmentIndex Index => SegmentIndex.Ds;
}

/// <summary>LES.</summary>
internal readonly struct LoadEs : IFarPointerTarget
{
    public static SegmentIndex Index => SegmentIndex.Es;
}

/// <summary>LFS.</summary>
internal readonly struct LoadFs : IFarPointerTarget
{
    public static SegmentIndex Index => SegmentIndex.Fs;
}

/// <summary>LGS.</summary>
internal readonly struct LoadGs : IFarPointerTarget
{
    public static SegmentIndex Index => SegmentIndex.Gs;
}

/// <summary>LSS.</summary>
internal readonly struct LoadSs : IFarPointerTarget
{
    public static SegmentIndex Index => SegmentIndex.Ss;
}
