using System.Diagnostics;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace Dbt.Translator.Emit;

/// <summary>
/// Makes block functions: <c>int Block(CpuState*, instance, way)</c> as DynamicMethods, fully optimised or MinOpts, and their bare code pointers.
/// </summary>
internal static class DynamicMethodFactory
{
    /// <summary>The parameter list of every block function: the processor, the instance, and the way (<see cref="InstanceLayout.OwnWay"/>) that has led there.</summary>
    public static readonly Type[] Parameters = [typeof(nint), typeof(nint), typeof(nint)];

    // RyuJIT compiles methods of a module marked so with MinOpts: four times faster to compile, three times slower to run.
    private static readonly Module MinOptsModule = AssemblyBuilder.DefineDynamicAssembly(
        new AssemblyName("Dbt.Quick"),
        AssemblyBuilderAccess.Run,
        [
            new CustomAttributeBuilder(
                typeof(DebuggableAttribute).GetConstructor([typeof(DebuggableAttribute.DebuggingModes)])!,
                [DebuggableAttribute.DebuggingModes.DisableOptimizations | DebuggableAttribute.DebuggingModes.Default]),
        ]).DefineDynamicModule("Dbt.Quick");

    // Saves memory only; absent in another runtime it is simply not cleared.
    private static readonly FieldInfo? Generator = typeof(DynamicMethod).GetField("_ilGenerator", BindingFlags.NonPublic | BindingFlags.Instance);

    /// <summary>An empty block function.</summary>
    /// <param name="name">Shown in listings of the JIT.</param>
    /// <param name="optimize">Full optimisation, or MinOpts.</param>
    public static DynamicMethod Create(string name, bool optimize) =>
        new(name, typeof(int), Parameters, optimize ? typeof(DynamicMethodFactory).Module : MinOptsModule, skipVisibility: true)
        {
            InitLocals = false,
        };

    /// <summary>
    /// Compiles now. The result is valid while <paramref name="method"/> is referenced; there is no stub or delegate between.
    /// </summary>
    public static nint Compile(DynamicMethod method)
    {
        RuntimeMethodHandle handle = GetMethodDescriptor(method);
        RuntimeHelpers.PrepareMethod(handle);
        nint function = handle.GetFunctionPointer();

        // The IL is not needed any more and is most of what the method keeps alive.
        Generator?.SetValue(method, null);
        return function;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "GetMethodDescriptor")]
    private static extern RuntimeMethodHandle GetMethodDescriptor(DynamicMethod method);
}
