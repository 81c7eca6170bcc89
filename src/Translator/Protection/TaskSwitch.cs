using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>Who switches tasks.</summary>
internal enum TaskSwitchReason
{
    /// <summary>JMP: the old task becomes available.</summary>
    Jump,

    /// <summary>CALL, an exception or an interrupt: the new task returns to the old one by IRET.</summary>
    Nested,

    /// <summary>IRET with NT.</summary>
    Return,
}

/// <summary>Task-state segments: stacks of inner levels, and the hardware's task switch (SDM vol. 3, chapter 7).</summary>
internal sealed unsafe class TaskSwitch(SystemUnit system)
{
    /// <summary>System descriptor types.</summary>
    public const int Available16 = 1, Busy16 = 3, Available32 = 9, Busy32 = 0xB;

    private const uint Length16 = 0x2C, Length32 = 0x68;

    // What DR7 loses: local enables and LE.
    private const uint LocalEnables = 0x155;

    /// <summary>Whether a TSS is a 32-bit one.</summary>
    public static bool Is32Bit(in Segment task) => (task.Attributes & 8) != 0;

    /// <summary>The stack that the present task has for an inner level.</summary>
    public bool TryInnerStack(CpuState* cpu, int level, uint external, out StackFrame frame)
    {
        frame = default;
        ref Segment task = ref cpu->Tr;
        bool wide = Is32Bit(task);
        uint offset = wide ? ((uint)level * 8) + 4 : ((uint)level * 4) + 2;
        uint last = offset + (wide ? 5u : 3u);
        if (last > task.High)
        {
            return SystemUnit.Raise(cpu, Vector.InvalidTss, (task.Selector & 0xFFFCu) | external);
        }

        int size = wide ? 4 : 2;
        if (!system.Memory.TryRead(cpu, task.Base + offset, size, out uint esp)
            || !system.Memory.TryRead(cpu, task.Base + offset + (uint)size, 2, out uint selector)
            || !SegmentChecks.TryStack(system, cpu, (ushort)selector, level, Vector.InvalidTss, external, out Segment stack))
        {
            return false;
        }

        if (!wide)
        {
            esp |= cpu->Gpr[(int)Gpr.Esp] & 0xFFFF0000;
        }

        frame = new StackFrame(stack, esp, false);
        return true;
    }

    /// <summary>The TSS that a task gate names.</summary>
    public bool TryFindAvailable(CpuState* cpu, ushort selector, uint external, out Segment task) =>
        TryFind(cpu, selector, Vector.GeneralProtection, external, Available16, Available32, out task);

    /// <summary>The TSS that IRET returns to.</summary>
    public bool TryFindBusy(CpuState* cpu, ushort selector, out Segment task) =>
        TryFind(cpu, selector, Vector.InvalidTss, 0, Busy16, Busy32, out task);

    /// <summary>Switches. A fault before the new task has begun leaves the old one as it was; one after is the new task's.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="task">The new task's TSS, present and of the right type.</param>
    /// <param name="reason">Who switches.</param>
    /// <param name="eip">Where the old task goes on.</param>
    /// <param name="eflags">Its flags.</param>
    /// <param name="external">EXT bit of error codes.</param>
    public bool Switch(CpuState* cpu, Segment task, TaskSwitchReason reason, uint eip, uint eflags, uint external)
    {
        bool wide = Is32Bit(task);
        uint length = wide ? Length32 : Length16;
        Segment old = cpu->Tr;
        uint oldLength = Is32Bit(old) ? Length32 : Length16;
        if (task.High < length - 1)
        {
            return SystemUnit.Raise(cpu, Vector.InvalidTss, (task.Selector & 0xFFFCu) | external);
        }

        byte* image = stackalloc byte[(int)Length32];
        if (!system.Memory.TryRead(cpu, task.Base, new Span<byte>(image, (int)length))
            || !system.Memory.TryProbe(cpu, old.Base, oldLength, MemoryAccess.Write)
            || (reason == TaskSwitchReason.Nested && !system.Memory.TryProbe(cpu, task.Base, 2, MemoryAccess.Write)))
        {
            return false;
        }

        if (reason != TaskSwitchReason.Nested && !system.Descriptors.TrySetBusy(cpu, old.Selector, false))
        {
            return false;
        }

        if (reason == TaskSwitchReason.Return)
        {
            eflags &= ~Flags.Nt;
        }

        if (!TrySave(cpu, old, eip, eflags)
            || (reason == TaskSwitchReason.Nested && !system.Memory.TryWrite(cpu, task.Base, 2, old.Selector))
            || (reason != TaskSwitchReason.Return && !system.Descriptors.TrySetBusy(cpu, task.Selector, true)))
        {
            return false;
        }

        task.Attributes |= 2;
        cpu->Tr = task;
        cpu->Cr0 |= ControlBits.Cr0Ts;
        cpu->InterruptShadow = 0;
        return Begin(cpu, new TaskImage(image, wide), reason, external);
    }

    private bool TryFind(CpuState* cpu, ushort selector, Vector vector, uint external, int type16, int type32, out Segment task)
    {
        task = default;
        uint error = (selector & 0xFFFCu) | external;
        if ((selector & 4) != 0)
        {
            return SystemUnit.Raise(cpu, vector, error);
        }

        if (!system.Descriptors.TryRead(cpu, selector, vector, external, out ulong descriptor))
        {
            return false;
        }

        task = Segment.FromDescriptor((ushort)(selector & 0xFFFC), descriptor);
        int type = task.Attributes & 0x1F;
        if (type != type16 && type != type32)
        {
            return SystemUnit.Raise(cpu, vector, error);
        }

        return task.Present || SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error);
    }

    private bool TrySave(CpuState* cpu, in Segment old, uint eip, uint eflags)
    {
        var image = new TaskImage(Is32Bit(old));
        image.Save(cpu, eip, eflags);
        return system.Memory.TryWrite(cpu, old.Base + image.Start, image.Saved);
    }

    private bool Begin(CpuState* cpu, in TaskImage image, TaskSwitchReason reason, uint external)
    {
        // All registers first: what fails from here on fails in the new task.
        uint eflags = image.Eflags;
        if (reason == TaskSwitchReason.Nested)
        {
            eflags |= Flags.Nt;
        }

        uint directory = cpu->Cr3;
        bool switches = image.Wide && (cpu->Cr0 & ControlBits.Cr0Pg) != 0;
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = (eflags & 0x003F7FD5) | Flags.Fixed;
        cpu->Eip = image.Eip;
        image.LoadRegisters(cpu);
        cpu->Dr[7] &= ~LocalEnables;
        Span<ushort> selectors = stackalloc ushort[6];
        for (int i = 0; i < 6; i++)
        {
            selectors[i] = image.Selector(i);
            cpu->Segments[(SegmentIndex)i] = Segment.Null(selectors[i]);
        }

        ushort local = image.Local;
        cpu->Ldtr = Segment.Null(local);
        bool virtual8086 = (cpu->Eflags & Flags.Vm) != 0;
        cpu->Cpl = virtual8086 ? 3 : selectors[(int)SegmentIndex.Cs] & 3;
        cpu->RefreshMode();
        if (switches && image.Directory != directory && !system.Registers.TrySetCr3(cpu, image.Directory))
        {
            return SystemUnit.Raise(cpu, Vector.InvalidTss, (cpu->Tr.Selector & 0xFFFCu) | external);
        }

        if (!system.Tables.TryLocal(cpu, local, Vector.InvalidTss, out Segment table))
        {
            return false;
        }

        cpu->Ldtr = table;
        if (!(virtual8086 ? Load8086(cpu, selectors) : TryLoad(cpu, selectors, external)))
        {
            return false;
        }

        cpu->RefreshMode();
        if ((cpu->Eflags & Flags.If) != 0 && cpu->InterruptWaits != 0)
        {
            cpu->Attention = 1;
        }

        if (image.Traps)
        {
            cpu->Dr[6] |= Breakpoints.TaskSwitched;
            return SystemUnit.Raise(cpu, Vector.Debug);
        }

        return true;
    }

    private static bool Load8086(CpuState* cpu, ReadOnlySpan<ushort> selectors)
    {
        for (int i = 0; i < 6; i++)
        {
            cpu->Segments[(SegmentIndex)i] = Virtual8086.SegmentOf(selectors[i]);
        }

        return true;
    }

    private bool TryLoad(CpuState* cpu, ReadOnlySpan<ushort> selectors, uint external)
    {
        ushort selector = selectors[(int)SegmentIndex.Cs];
        uint error = (selector & 0xFFFCu) | external;
        int level = cpu->Cpl;
        if ((selector & 0xFFFC) == 0)
        {
            return SystemUnit.Raise(cpu, Vector.InvalidTss, external);
        }

        if (!system.Descriptors.TryRead(cpu, selector, Vector.InvalidTss, external, out ulong descriptor))
        {
            return false;
        }

        var code = Segment.FromDescriptor(selector, descriptor);
        if (!code.IsCode || (SegmentChecks.IsConforming(in code) ? code.Dpl > level : code.Dpl != level))
        {
            return SystemUnit.Raise(cpu, Vector.InvalidTss, error);
        }

        if (!code.Present)
        {
            return SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error);
        }

        if (!system.Descriptors.TrySetAccessed(cpu, ref code))
        {
            return false;
        }

        cpu->Segments[SegmentIndex.Cs] = code;
        if (!SegmentChecks.TryStack(system, cpu, selectors[(int)SegmentIndex.Ss], level, Vector.InvalidTss, external, out Segment stack))
        {
            return false;
        }

        cpu->Segments[SegmentIndex.Ss] = stack;
        foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
        {
            if (!SegmentLoader.TryLoad(system.Owner, cpu, index, selectors[(int)index], level, out Segment data))
            {
                if (cpu->Fault.Vector == Vector.GeneralProtection)
                {
                    cpu->Fault.Vector = Vector.InvalidTss;
                }

                cpu->Fault.ErrorCode |= cpu->Fault.Vector == Vector.PageFault ? 0 : external;
                cpu->RefreshMode();
                return false;
            }

            cpu->Segments[index] = data;
        }

        return true;
    }
}
