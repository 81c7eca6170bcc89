using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Stack.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] StackRows() =>
    [
        new(Mnemonic.Push, "PUSH", TestClass.Stack, &StackOperations.Push, emit: EmitStack.Push, threaded: &StackOps.PickPush),
        new(Mnemonic.Pop, "POP", TestClass.Stack, &StackOperations.Pop, emit: EmitStack.Pop, threaded: &StackOps.PickPop),
        new(Mnemonic.Pusha, "PUSHA/PUSHAD", TestClass.Stack, &StackOperations.Pusha),
        new(Mnemonic.Pushad, "PUSHA/PUSHAD", TestClass.Stack, &StackOperations.Pusha),
        new(Mnemonic.Popa, "POPA/POPAD", TestClass.Stack, &StackOperations.Popa),
        new(Mnemonic.Popad, "POPA/POPAD", TestClass.Stack, &StackOperations.Popa),
        new(Mnemonic.Enter, "ENTER", TestClass.Stack, &StackOperations.Enter),
        new(Mnemonic.Leave, "LEAVE", TestClass.Stack, &StackOperations.Leave, emit: EmitStack.Leave, threaded: &StackOps.PickLeave),
    ];
}
