using System.Reflection;
using System.Reflection.Emit;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit.Spans;
using Dbt.Translator.State;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit;

/// <summary>
/// Writes one block function for a region. Guest registers are IL locals, loaded at the entry and stored at the common exits;
/// loops are IL branches. Indirect branches that may come back go through an outer loop around the region, which makes
/// every exit a loop exit: RyuJIT then moves them out of the way (it has no other cold hint for code that returns).
/// </summary>
internal static unsafe class RegionEmitter
{
    /// <summary>Emits; does not compile.</summary>
    /// <param name="region">What to translate.</param>
    /// <param name="target">Where it is to run.</param>
    public static EmittedRegion Emit(Region region, EmitTarget target)
    {
        while (true)
        {
            int untranslatable = region.Untranslatable.Count;
            EmittedRegion emitted = EmitOnce(region, target);
            if (region.Untranslatable.Count == untranslatable)
            {
                return emitted;
            }

            // A routine refused a form: the flag analysis must know that the region may leave there.
            target.Marks?.Clear();
        }
    }

    private static EmittedRegion EmitOnce(Region region, EmitTarget target)
    {
        DynamicMethod method = DynamicMethodFactory.Create($"g_{region.Entry:x8}", target.Optimize);
        ILGenerator il = method.GetILGenerator(region.InstructionCount * 96);
        MemoryEmitter memory = new DirectTableEmitter();
        var exits = new ExitTable();
        var instance = new InstanceLayout(region.Pages.Keys);
        var e = new InstructionEmitter(il, region, memory, exits, instance) { Optimized = target.Optimize, Marks = target.Marks };
        RegisterUse use = RegisterSummary.Of(region);
        e.UsedRegisters = use.Used;
        e.WrittenRegisters = use.Written;
        e.UsedVectors = use.UsedVectors;
        e.WrittenVectors = use.WrittenVectors;
        e.NeededUnits = Translatable.UnitsOf(region);
        e.UsesMmx = Translatable.UsesMmx(region);
        region.MixesX87AndMmx = e.UsesMmx && (e.NeededUnits & LiveUnit.X87) != 0;
        if (region.MixesX87AndMmx)
        {
            // Made live where the first x87 instruction is.
            e.NeededUnits &= ~LiveUnit.X87;
        }

        MmxState.Compute(region);
        VectorLiveness.Compute(region);
        FlagLiveness.Compute(region);
        e.Spans = region.IsApart ? null : new SpanPlan(region);
        e.IsWindowed = region.IsWindowed;
        foreach (GuestBlock block in region.Blocks)
        {
            block.Label = il.DefineLabel();
            block.Uncounted = block.IsEntry || block.IsIndirectTarget ? 0 : null;
        }

        List<GuestBlock> entries = region.Blocks.FindAll(block => block.IsEntry);
        EmitEntry(e, memory, region, entries, target);
        foreach (GuestBlock block in region.Blocks)
        {
            EmitBlock(e, block, target);
        }

        target.Marks?.Add((il.ILOffset, 0));
        e.EmitDeferred();
        EmitExits(e, target);
        return new EmittedRegion(method, exits.Sites, instance, il.ILOffset);
    }

    private static void EmitEntry(InstructionEmitter e, MemoryEmitter memory, Region region, List<GuestBlock> entries, EmitTarget target)
    {
        ILGenerator il = e.Il;
        memory.EmitPrologue(e);
        e.LoadWindow();
        Label start = il.DefineLabel();
        e.LoadAttention();
        il.Emit(OpCodes.Brfalse, start);
        e.Return(ExitTable.Continue);
        il.MarkLabel(start);

        EmitPageCheck(e, memory);
        EmitUnitCheck(e);
        e.LoadVectors();
        e.BeginMmx();
        for (int register = 0; register < 8; register++)
        {
            if ((e.UsedRegisters >> register & 1) != 0)
            {
                e.LoadState(StateLayout.Gpr(register), OpCodes.Ldind_U4);
                il.Emit(OpCodes.Conv_U8);
                il.Emit(OpCodes.Stloc, e.RegisterLocal(register));
            }
        }

        il.Emit(OpCodes.Ldc_I8, 0L);
        il.Emit(OpCodes.Stloc, e.Retired);
        if (!target.Optimize)
        {
            e.IndirectTarget = e.Indirect;
            il.Emit(OpCodes.Br, region.Blocks[0].Label);
            return;
        }

        Label top = il.DefineLabel();
        e.IndirectTarget = il.DefineLabel();
        if (entries.Count == 1)
        {
            e.Constant((int)region.Entry);
        }
        else
        {
            e.LoadState(StateLayout.Eip, OpCodes.Ldind_I4);
        }

        il.Emit(OpCodes.Stloc, e.EipLocal);
        il.MarkLabel(top);
        EmitSearch(e, [.. entries.OrderBy(block => block.Start)], 0, entries.Count);
        il.MarkLabel(e.IndirectTarget);
        e.LoadAttention();
        il.Emit(OpCodes.Brfalse, top);
        il.Emit(OpCodes.Br, e.Plain);
    }

    /// <summary>
    /// Leaves where code pages are not mapped as they were. That they are is known of a generation by the way that has led here, so that most often nothing of the instance is looked at; else by the instance; else pages are compared.
    /// </summary>
    private static void EmitPageCheck(InstructionEmitter e, MemoryEmitter memory)
    {
        ILGenerator il = e.Il;
        Label same = il.DefineLabel(), compare = il.DefineLabel();
        LocalBuilder generation = il.DeclareLocal(typeof(long));
        memory.EmitGeneration(e);
        il.Emit(OpCodes.Stloc, generation);
        il.Emit(OpCodes.Ldloc, generation);
        PushWay();
        il.Emit(OpCodes.Ldind_I8);
        il.Emit(OpCodes.Bne_Un, compare);
        il.MarkLabel(same);
        e.Defer(() =>
        {
            Label known = il.DefineLabel(), remapped = il.DefineLabel();
            il.MarkLabel(compare);
            il.Emit(OpCodes.Ldloc, generation);
            e.InstanceAddress(InstanceLayout.Generation);
            il.Emit(OpCodes.Ldind_I8);
            il.Emit(OpCodes.Beq, known);
            for (int page = 0; page < e.Instance.Pages.Count; page++)
            {
                memory.EmitExecuteEntry(e, e.Instance.Pages[page]);
                e.InstanceAddress(InstanceLayout.Page(page));
                il.Emit(OpCodes.Ldind_I8);
                il.Emit(OpCodes.Bne_Un, remapped);
            }

            e.InstanceAddress(InstanceLayout.Generation);
            il.Emit(OpCodes.Ldloc, generation);
            il.Emit(OpCodes.Stind_I8);
            il.MarkLabel(known);
            PushWay();
            il.Emit(OpCodes.Ldloc, generation);
            il.Emit(OpCodes.Stind_I8);
            il.Emit(OpCodes.Br, same);
            il.MarkLabel(remapped);
            e.StateAddress(StateLayout.ExitInfo);
            il.Emit(OpCodes.Ldarg_1);
            il.Emit(OpCodes.Stind_I);
            e.Return(ExitTable.Remapped);
        });

        void PushWay()
        {
            il.Emit(OpCodes.Ldarg_2);
            e.Constant(InstanceLayout.WayGeneration);
            il.Emit(OpCodes.Conv_I);
            il.Emit(OpCodes.Add);
        }
    }

    /// <summary>Goes to the entry whose EIP is in the local, of some in ascending order; elsewhere where it is none of them.</summary>
    private static void EmitSearch(InstructionEmitter e, List<GuestBlock> entries, int from, int to)
    {
        const int Few = 3;
        ILGenerator il = e.Il;
        if (to - from > Few)
        {
            int middle = (from + to) / 2;
            Label upper = il.DefineLabel();
            il.Emit(OpCodes.Ldloc, e.EipLocal);
            e.Constant((int)entries[middle].Start);
            il.Emit(OpCodes.Bge_Un, upper);
            EmitSearch(e, entries, from, middle);
            il.MarkLabel(upper);
            EmitSearch(e, entries, middle, to);
            return;
        }

        for (int i = from; i < to; i++)
        {
            il.Emit(OpCodes.Ldloc, e.EipLocal);
            e.Constant((int)entries[i].Start);
            il.Emit(OpCodes.Beq, entries[i].Label);
        }

        il.Emit(OpCodes.Br, e.Indirect);
    }

    /// <summary>Makes live what the region needs and is not; leaves where the guest's masks do not allow it.</summary>
    private static void EmitUnitCheck(InstructionEmitter e)
    {
        if (e.NeededUnits == LiveUnit.None)
        {
            return;
        }

        ILGenerator il = e.Il;
        Label live = il.DefineLabel();
        e.LoadState(StateLayout.LiveUnits, OpCodes.Ldind_I4);
        e.Constant((int)e.NeededUnits);
        il.Emit(OpCodes.And);
        e.Constant((int)e.NeededUnits);
        il.Emit(OpCodes.Beq, live);
        il.Emit(OpCodes.Ldarg_0);
        e.Constant((int)e.NeededUnits);
        e.CallHost(StateLayout.ActivateCode, typeof(int), typeof(nint), typeof(int));
        il.Emit(OpCodes.Brtrue, live);
        e.Return(ExitTable.NeedsUnits);
        il.MarkLabel(live);
    }

    private static void EmitBlock(InstructionEmitter e, GuestBlock block, EmitTarget target)
    {
        e.BeginBlock(block);
        if (target.Counts && block.IsEntry)
        {
            EmitCounter(e, block);
        }

        for (int i = 0; i < block.Instructions.Count && !e.BlockEnded; i++)
        {
            Instruction instruction = block.Instructions[i];
            e.BeginInstruction(instruction, i);
            if (i == 0)
            {
                e.MarkLoop();
            }

            e.MarkReplaced();

            if (Translatable.Routine(instruction, e.Region) is not { } routine)
            {
                e.LeaveToInterpreter();
            }
            else if (!routine(e, instruction))
            {
                e.Region.Untranslatable.Add(e.Eip);
                e.LeaveToInterpreter();
            }

            e.EndInstruction(instruction);
        }

        if (!e.BlockEnded)
        {
            e.Retire();
            e.GoTo(block.End);
        }
    }

    /// <summary>A quick block counts down to its promotion.</summary>
    private static void EmitCounter(InstructionEmitter e, GuestBlock block)
    {
        ILGenerator il = e.Il;
        Label hot = il.DefineLabel();
        LocalBuilder left = e.Temp();
        e.InstanceAddress(InstanceLayout.Counter);
        il.Emit(OpCodes.Ldind_I4);
        e.Constant(1);
        il.Emit(OpCodes.Sub);
        il.Emit(OpCodes.Stloc, left);
        e.InstanceAddress(InstanceLayout.Counter);
        il.Emit(OpCodes.Ldloc, left);
        il.Emit(OpCodes.Stind_I4);
        il.Emit(OpCodes.Ldloc, left);
        il.Emit(OpCodes.Brfalse, hot);
        e.Defer(() =>
        {
            il.MarkLabel(hot);
            e.Constant((int)block.Start);
            il.Emit(OpCodes.Stloc, e.EipLocal);
            StoreState(e, eip: true);
            e.Return(ExitTable.Hot);
        });
    }

    private static void EmitExits(InstructionEmitter e, EmitTarget target)
    {
        ILGenerator il = e.Il;
        il.MarkLabel(e.SideExitLabel);
        StoreState(e, eip: false);
        e.StateAddress(StateLayout.ExitInfo);
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Stind_I);
        e.EmitReturn();

        Label none = il.DefineLabel();
        il.MarkLabel(e.Indirect);
        if (target.Link && e.UsesIndirect)
        {
            StoreState(e, eip: true);
            EmitJumpTable(e, none);
        }

        // Also reached where the region's own dispatch finds no entry.
        il.MarkLabel(e.Plain);
        StoreState(e, eip: true);
        il.MarkLabel(none);
        e.Return(ExitTable.Continue);

        il.MarkLabel(e.Linked);
        StoreState(e, eip: true);
        if (e.UsesLinks && target.Link)
        {
            EmitLink(e);
        }
        else
        {
            e.Return(ExitTable.Continue);
        }
    }

    /// <summary>Goes to the translation in the jump table, if it is the right one. Whether its pages are mapped as they were, it finds itself.</summary>
    private static void EmitJumpTable(InstructionEmitter e, Label none)
    {
        ILGenerator il = e.Il;
        LocalBuilder entry = il.DeclareLocal(typeof(long));
        il.Emit(OpCodes.Ldloc, e.EipLocal);
        il.Emit(OpCodes.Ldloc, e.EipLocal);
        e.Constant(JumpTable.HashShift);
        il.Emit(OpCodes.Shr_Un);
        il.Emit(OpCodes.Xor);
        e.Constant(JumpTable.Mask);
        il.Emit(OpCodes.And);
        il.Emit(OpCodes.Conv_U8);
        e.Constant(JumpTable.EntryShift);
        il.Emit(OpCodes.Shl);
        e.LoadState(StateLayout.JumpTable, OpCodes.Ldind_I8);
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Stloc, entry);

        il.Emit(OpCodes.Ldloc, entry);
        il.Emit(OpCodes.Ldind_I4);
        il.Emit(OpCodes.Ldloc, e.EipLocal);
        il.Emit(OpCodes.Bne_Un, none);
        Field(entry, 4);
        il.Emit(OpCodes.Ldind_I4);
        e.Constant((int)JumpTable.KeyOf(e.Mode));
        il.Emit(OpCodes.Bne_Un, none);

        il.Emit(OpCodes.Ldarg_0);
        Field(entry, 24);
        il.Emit(OpCodes.Ldind_I);
        il.Emit(OpCodes.Ldloc, entry);
        il.Emit(OpCodes.Conv_I);
        Field(entry, 16);
        il.Emit(OpCodes.Ldind_I);
        TailCall(il);

        void Field(LocalBuilder pointer, int offset)
        {
            il.Emit(OpCodes.Ldloc, pointer);
            e.Constant(offset);
            il.Emit(OpCodes.Conv_I8);
            il.Emit(OpCodes.Add);
        }
    }

    /// <summary>Goes on through a link cell, if it is filled.</summary>
    private static void EmitLink(InstructionEmitter e)
    {
        ILGenerator il = e.Il;
        LocalBuilder function = il.DeclareLocal(typeof(long));
        Label unlinked = il.DefineLabel();
        il.Emit(OpCodes.Ldloc, e.LinkLocal);
        il.Emit(OpCodes.Ldind_I8);
        il.Emit(OpCodes.Stloc, function);
        il.Emit(OpCodes.Ldloc, function);
        il.Emit(OpCodes.Brfalse, unlinked);
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldloc, e.LinkLocal);
        e.Constant(16);
        il.Emit(OpCodes.Conv_I8);
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Ldind_I);
        il.Emit(OpCodes.Ldloc, e.LinkLocal);
        il.Emit(OpCodes.Conv_I);
        il.Emit(OpCodes.Ldloc, function);
        il.Emit(OpCodes.Conv_I);
        TailCall(il);

        il.MarkLabel(unlinked);
        e.StateAddress(StateLayout.ExitInfo);
        il.Emit(OpCodes.Ldloc, e.LinkLocal);
        il.Emit(OpCodes.Stind_I8);
        e.Return(ExitTable.Unlinked);
    }

    private static void TailCall(ILGenerator il)
    {
        il.Emit(OpCodes.Tailcall);
        il.EmitCalli(OpCodes.Calli, CallingConventions.Standard, typeof(int), DynamicMethodFactory.Parameters, null);
        il.Emit(OpCodes.Ret);
    }

    private static void StoreState(InstructionEmitter e, bool eip)
    {
        ILGenerator il = e.Il;
        for (int register = 0; register < 8; register++)
        {
            if ((e.WrittenRegisters >> register & 1) != 0)
            {
                int number = register;
                e.StoreState(StateLayout.Gpr(register), () => e.Push(Value.Register(number)));
            }
        }

        e.StoreVectors();
        e.StoreMmx();
        if (eip)
        {
            e.StoreState(StateLayout.Eip, () => il.Emit(OpCodes.Ldloc, e.EipLocal));
        }

        int retired = e.Optimized ? StateLayout.RetiredOptimized : StateLayout.RetiredQuick;
        e.StateAddress(retired);
        e.LoadState(retired, OpCodes.Ldind_I8);
        il.Emit(OpCodes.Ldloc, e.Retired);
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Stind_I8);
    }
}

/// <summary>How a region is to be emitted.</summary>
/// <param name="Optimize">Full optimisation, or MinOpts.</param>
/// <param name="Link">Whether translations go on to one another without the dispatcher.</param>
/// <param name="Counts">Whether its entry counts down.</param>
internal sealed record EmitTarget(bool Optimize, bool Link, bool Counts)
{
    /// <summary>Gets the offset at which each instruction's IL begins, and at last, with EIP 0, that of all exits. For listings.</summary>
    public List<(int Offset, uint Eip)>? Marks { get; init; }
}

/// <summary>A region in IL.</summary>
/// <param name="Method">To be compiled, and kept while its function may run.</param>
/// <param name="Sites">Its exits.</param>
/// <param name="Instance">What its instances hold.</param>
/// <param name="IlBytes">Length of the IL.</param>
internal sealed record EmittedRegion(DynamicMethod Method, List<ExitSite> Sites, InstanceLayout Instance, int IlBytes);
