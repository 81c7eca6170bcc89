using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>A stack that words are pushed to or popped from without the processor's own ESP changing until all have gone well.</summary>
internal unsafe struct StackFrame(Segment stack, uint esp, bool user)
{
    /// <summary>Its segment.</summary>
    public Segment Stack = stack;

    /// <summary>Where ESP has got to; a 16-bit stack keeps the upper half.</summary>
    public uint Esp = esp;

    private readonly bool _user = user;

    /// <summary>The stack in force.</summary>
    public static StackFrame Of(CpuState* cpu) => new(cpu->Segments[SegmentIndex.Ss], cpu->Gpr[(int)Gpr.Esp], cpu->Cpl == 3);

    /// <summary>Pushes 2 or 4 bytes; outside the segment it is #SS with <paramref name="error"/>.</summary>
    public bool TryPush(SystemUnit system, CpuState* cpu, int size, uint value, uint error)
    {
        uint esp = Moved(0u - (uint)size);
        if (!Inside(esp, (uint)size))
        {
            return SystemUnit.Raise(cpu, Vector.StackFault, error);
        }

        if (!system.Memory.TryWrite(cpu, Stack.Base + Offset(esp), size, value, _user))
        {
            return false;
        }

        Esp = esp;
        return true;
    }

    /// <summary>Pops 2 or 4 bytes, zero-extended; outside the segment it is #SS(0).</summary>
    public bool TryPop(SystemUnit system, CpuState* cpu, int size, out uint value)
    {
        value = 0;
        if (!Inside(Esp, (uint)size))
        {
            return SystemUnit.Raise(cpu, Vector.StackFault);
        }

        if (!system.Memory.TryRead(cpu, Stack.Base + Offset(Esp), size, out value, _user))
        {
            return false;
        }

        Esp = Moved((uint)size);
        return true;
    }

    /// <summary>Skips bytes, up or down.</summary>
    public void Skip(uint bytes) => Esp = Moved(bytes);

    private readonly uint Offset(uint esp) => Stack.Is32Bit ? esp : esp & 0xFFFF;

    private readonly uint Moved(uint delta) => Stack.Is32Bit ? Esp + delta : (Esp & 0xFFFF0000) | ((Esp + delta) & 0xFFFF);

    private readonly bool Inside(uint esp, uint size)
    {
        uint offset = Offset(esp);
        return offset >= Stack.Low && offset <= Stack.High && Stack.High - offset >= size - 1;
    }
}
