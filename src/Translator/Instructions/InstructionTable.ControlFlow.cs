using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Near transfers, loops, software interrupts.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] ControlFlowRows() =>
    [
        new(Mnemonic.Jmp, "JMP", TestClass.ControlFlow, &FlowOperations.Jmp, emit: EmitFlow.Jmp, traits: Flow, threaded: &FlowOps.PickJmp),
        new(Mnemonic.Jo, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jno, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jb, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jae, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Je, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jne, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jbe, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Ja, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Js, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jns, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jp, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jnp, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jl, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jge, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jle, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jg, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcc, emit: EmitFlow.Jcc, traits: Flow, threaded: &BranchOps.PickJcc),
        new(Mnemonic.Jcxz, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcxz, traits: Flow),
        new(Mnemonic.Jecxz, "Jcc", TestClass.ControlFlow, &FlowOperations.Jcxz, emit: EmitFlow.Jecxz, traits: Flow),
        new(Mnemonic.Loop, "LOOP/LOOPcc", TestClass.ControlFlow, &FlowOperations.Loop, emit: EmitFlow.Loop, traits: Flow),
        new(Mnemonic.Loope, "LOOP/LOOPcc", TestClass.ControlFlow, &FlowOperations.Loope, emit: EmitFlow.Loop, traits: Flow),
        new(Mnemonic.Loopne, "LOOP/LOOPcc", TestClass.ControlFlow, &FlowOperations.Loopne, emit: EmitFlow.Loop, traits: Flow),
        new(Mnemonic.Call, "CALL", TestClass.ControlFlow, &FlowOperations.Call, emit: EmitFlow.Call, traits: Flow, threaded: &FlowOps.PickCall),
        new(Mnemonic.Ret, "RET", TestClass.ControlFlow, &FlowOperations.Ret, emit: EmitFlow.Ret, traits: Flow, threaded: &FlowOps.PickRet),
        new(Mnemonic.Int, "INT n/INTO/INT3/INT1", TestClass.ControlFlow, &FlowOperations.Int, traits: Flow),
        new(Mnemonic.Int3, "INT n/INTO/INT3/INT1", TestClass.ControlFlow, &FlowOperations.Int3, traits: Flow),
        new(Mnemonic.Into, "INT n/INTO/INT3/INT1", TestClass.ControlFlow, &FlowOperations.Into, traits: Flow),
        new(Mnemonic.Int1, "INT n/INTO/INT3/INT1", TestClass.ControlFlow, &FlowOperations.Int1, traits: Flow),
        new(Mnemonic.Bound, "BOUND", TestClass.ControlFlow, &FlowOperations.Bound),
        new(Mnemonic.Ud0, "UD", TestClass.NotTested, &FlowOperations.Ud, traits: Flow),
        new(Mnemonic.Ud1, "UD", TestClass.NotTested, &FlowOperations.Ud, traits: Flow),
        new(Mnemonic.Ud2, "UD", TestClass.NotTested, &FlowOperations.Ud, traits: Flow),
    ];
}
