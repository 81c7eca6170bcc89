using System.Reflection;
using System.Runtime.CompilerServices;
using Dbt.Translator.Cache;
using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;

namespace Dbt.Translator;

/// <summary>
/// Has the host's just-in-time compiler make what every guest needs of the interpreter on a thread of its own, while the guest's files are read and its domain is built: some three
/// hundred routines that can't be compiled beforehand, which otherwise its first processor would wait for one by one.
/// </summary>
public static class EngineWarmUp
{
    private const BindingFlags Methods = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    // Where there are methods outside the threaded routines that every guest comes to at once.
    private static readonly Type[] Rooms = [typeof(Interpreter), typeof(LazyFlags), typeof(Dispatcher)];

    private static int _begun;

    /// <summary>Begins, once in a process. Any thread; nobody need wait for the end.</summary>
    public static void Begin()
    {
        if (Interlocked.Exchange(ref _begun, 1) == 0)
        {
            new Thread(Run) { IsBackground = true, Name = "dbt-warm-up" }.Start();
        }
    }

    private static bool IsCompiledAtOnce(MethodInfo method) => method.MethodImplementationFlags.HasFlag(MethodImplAttributes.AggressiveOptimization) && !method.IsGenericMethodDefinition;

    private static void Run()
    {
        RuntimeHelpers.RunClassConstructor(typeof(InstructionTable).TypeHandle);
        foreach (MethodInfo method in Rooms.SelectMany(room => room.GetMethods(Methods)).Where(IsCompiledAtOnce))
        {
            RuntimeHelpers.PrepareMethod(method.MethodHandle);
        }

        foreach (string line in CommonRoutines.Lines())
        {
            RuntimeHelpers.PrepareMethod(CommonRoutines.Find(line).MethodHandle);
        }
    }
}
