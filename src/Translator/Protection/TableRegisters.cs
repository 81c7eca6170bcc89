using Dbt.Translator.Interpretation;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Protection;

/// <summary>LGDT, LIDT, LLDT and LTR (SDM vol. 2), in ring 0.</summary>
internal sealed unsafe class TableRegisters(SystemUnit system)
{
    private const int Ldt = 2;

    public bool Load(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, Mnemonic mnemonic)
    {
        if (mnemonic is Mnemonic.Lgdt or Mnemonic.Lidt)
        {
            return LoadTable(interpreter, cpu, in d, mnemonic == Mnemonic.Lgdt);
        }

        if (!interpreter.TryOperand0(cpu, in d, 2, out uint selector))
        {
            return false;
        }

        return mnemonic == Mnemonic.Lldt ? LoadLocal(cpu, (ushort)selector) : LoadTask(cpu, (ushort)selector);
    }

    /// <summary>Loads LDTR: from an instruction with #GP, from a TSS with #TS.</summary>
    public bool TryLocal(CpuState* cpu, ushort selector, Vector vector, out Segment segment)
    {
        segment = Segment.Null(selector);
        uint error = selector & 0xFFFCu;
        if (error == 0)
        {
            return true;
        }

        if ((selector & 4) != 0)
        {
            return SystemUnit.Raise(cpu, vector, error);
        }

        if (!system.Descriptors.TryRead(cpu, selector, vector, 0, out ulong descriptor))
        {
            return false;
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        if ((segment.Attributes & 0x1F) != Ldt)
        {
            return SystemUnit.Raise(cpu, vector, error);
        }

        return segment.Present || SystemUnit.Raise(cpu, vector == Vector.InvalidTss ? vector : Vector.SegmentNotPresent, error);
    }

    private static bool LoadTable(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, bool global)
    {
        byte* pointer = interpreter.Open(cpu, in d, 2, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        uint limit = Interpreter.Load(pointer, 2);
        pointer = interpreter.OpenBehind(cpu, in d, 2, 4, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        // With a 16-bit operand size the base has 24 bits.
        uint address = Interpreter.Load(pointer, 4) & (d.Size == 2 ? 0x00FFFFFFu : uint.MaxValue);
        if (global)
        {
            (cpu->GdtrBase, cpu->GdtrLimit) = (address, limit);
        }
        else
        {
            (cpu->IdtrBase, cpu->IdtrLimit) = (address, limit);
        }

        return true;
    }

    private bool LoadLocal(CpuState* cpu, ushort selector)
    {
        if (!TryLocal(cpu, selector, Vector.GeneralProtection, out Segment segment))
        {
            return false;
        }

        cpu->Ldtr = segment;
        return true;
    }

    private bool LoadTask(CpuState* cpu, ushort selector)
    {
        uint error = selector & 0xFFFCu;
        if (error == 0)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if ((selector & 4) != 0)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if (!system.Descriptors.TryRead(cpu, selector, Vector.GeneralProtection, 0, out ulong descriptor))
        {
            return false;
        }

        var segment = Segment.FromDescriptor(selector, descriptor);
        if ((segment.Attributes & 0x1F) is not (TaskSwitch.Available16 or TaskSwitch.Available32))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if (!segment.Present)
        {
            return SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error);
        }

        if (!system.Descriptors.TrySetBusy(cpu, selector, true))
        {
            return false;
        }

        segment.Attributes |= 2;
        cpu->Tr = segment;
        return true;
    }
}
