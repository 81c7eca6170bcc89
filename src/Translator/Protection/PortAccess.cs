using Dbt.Translator.Interpretation;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>IN, OUT, INS and OUTS, by IOPL and the I/O permission bitmap of the TSS (SDM vol. 1, 19.5).</summary>
internal sealed unsafe class PortAccess(SystemUnit system)
{
    /// <summary>Elements that a repetition moves before it looks whether anybody wants attention.</summary>
    private const int PollInterval = 256;

    public bool Execute(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        (int size, bool isImmediate, bool isInput, bool isString) = PortInstruction.Shape(interpreter.Kept(in d).Code);
        uint port = isImmediate ? interpreter.Kept(in d).Immediate8 : cpu->Gpr[(int)Gpr.Edx] & 0xFFFF;
        if (size == 0)
        {
            return SystemUnit.Raise(cpu, Vector.InvalidOpcode);
        }

        if (!TryPermit(cpu, port, (uint)size))
        {
            return false;
        }

        if (isString)
        {
            return String(interpreter, cpu, in d, (ushort)port, size, isInput);
        }

        if (isInput)
        {
            uint value = system.Owner.ReadPort((ushort)port, size);
            Interpreter.Store((byte*)cpu->Gpr, size, value);
        }
        else
        {
            system.Owner.WritePort((ushort)port, size, cpu->Gpr[(int)Gpr.Eax] & Interpreter.Mask(size));
        }

        Breakpoints.TakePort(cpu, port, (uint)size);
        cpu->Eip = d.NextEip;
        return true;
    }

    private bool TryPermit(CpuState* cpu, uint port, uint size)
    {
        bool virtual8086 = (cpu->Eflags & Flags.Vm) != 0;
        if (!virtual8086 && cpu->Cpl <= (int)((cpu->Eflags >> 12) & 3))
        {
            return true;
        }

        ref Segment task = ref cpu->Tr;
        if (!task.Present || !TaskSwitch.Is32Bit(task) || task.High < 103)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if (!system.Memory.TryRead(cpu, task.Base + 0x66, 2, out uint map))
        {
            return false;
        }

        // Two bytes are always read, so the map ends with a byte of ones.
        uint offset = map + (port >> 3);
        if (offset + 1 > task.High)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if (!system.Memory.TryRead(cpu, task.Base + offset, 2, out uint bits))
        {
            return false;
        }

        uint wanted = ((1u << (int)size) - 1) << (int)(port & 7);
        return (bits & wanted) == 0 || SystemUnit.Raise(cpu, Vector.GeneralProtection);
    }

    private bool String(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ushort port, int size, bool isInput)
    {
        bool repeated = (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) != 0;
        bool singly = (cpu->Eflags & Flags.Tf) != 0;
        uint mask = (d.Flags & DecodedFlags.Address16) != 0 ? 0xFFFF : uint.MaxValue;
        ref uint pointer = ref cpu->Gpr[isInput ? (int)Gpr.Edi : (int)Gpr.Esi];
        ref uint counter = ref cpu->Gpr[(int)Gpr.Ecx];
        uint step = (cpu->Eflags & Flags.Df) != 0 ? 0u - (uint)size : (uint)size;
        SegmentIndex segment = isInput ? SegmentIndex.Es : (SegmentIndex)d.Segment;
        int left = PollInterval;
        while (!repeated || (counter & mask) != 0)
        {
            // The memory is checked before the port is touched.
            byte* memory = interpreter.OpenAt(cpu, segment, pointer & mask, size, isInput ? MemoryAccess.Write : MemoryAccess.Read);
            if (memory == null)
            {
                return false;
            }

            if (isInput)
            {
                Interpreter.Store(memory, size, system.Owner.ReadPort(port, size));
                interpreter.Commit(cpu);
            }
            else
            {
                system.Owner.WritePort(port, size, Interpreter.Load(memory, size));
            }

            Breakpoints.TakePort(cpu, port, (uint)size);
            pointer = (pointer & ~mask) | ((pointer + step) & mask);
            if (!repeated)
            {
                break;
            }

            counter = (counter & ~mask) | ((counter - 1) & mask);
            if ((counter & mask) != 0 && (singly || cpu->BreakpointHits != 0 || (--left <= 0 && cpu->Attention != 0)))
            {
                interpreter.Repeating = true;
                return true;
            }
        }

        cpu->Eip = d.NextEip;
        return true;
    }
}
