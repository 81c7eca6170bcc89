using System.Reflection;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// The routines that kernels and their first programs are known to use, in the order in which a boot comes to them: CommonRoutines.txt, a line for each, written as in C#
/// (<c>AluOps.RegisterImmediate&lt;OrOperation, Byte4&gt;</c>). docs/PERFORMANCE.md says how the list is made.
/// </summary>
internal static unsafe class CommonRoutines
{
    private const string ListName = "CommonRoutines.txt";
    private const BindingFlags Routines = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly Type[] Parameters = [typeof(Interpreter), typeof(State.CpuState*), typeof(Op*)];
    private static readonly Assembly Home = typeof(CommonRoutines).Assembly;
    private static readonly string[] Rooms = [typeof(AluOps).Namespace!, typeof(Operations.IBinary).Namespace!];

    /// <summary>The lines of the list.</summary>
    public static IEnumerable<string> Lines()
    {
        using Stream list = Home.GetManifestResourceStream(ListName) ?? throw new InvalidOperationException($"{ListName} is not in {Home.GetName().Name}");
        using var reader = new StreamReader(list);
        while (reader.ReadLine() is string line)
        {
            yield return line;
        }
    }

    /// <summary>The routine of a line.</summary>
    /// <exception cref="InvalidOperationException">There is none of that name: the list is older than the code.</exception>
    public static MethodInfo Find(string line)
    {
        (string name, Type[] arguments) = Split(line);
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        MethodInfo method = FindType(name[..dot], arguments: 0).GetMethod(name[(dot + 1)..], arguments.Length, Routines, Parameters)
            ?? throw new InvalidOperationException($"{ListName}: there is no routine {line}");
        return arguments.Length == 0 ? method : method.MakeGenericMethod(arguments);
    }

    // "Name<A, B<C>>" is a name and its type arguments.
    private static (string Name, Type[] Arguments) Split(string text)
    {
        int open = text.IndexOf('<', StringComparison.Ordinal);
        if (open < 0)
        {
            return (text, []);
        }

        var arguments = new List<Type>();
        int start = open + 1;
        for (int at = start, depth = 0; at < text.Length; at++)
        {
            if (text[at] == '<')
            {
                depth++;
            }
            else if (depth == 0 && (text[at] is ',' or '>'))
            {
                arguments.Add(Argument(text[start..at].Trim()));
                start = at + 1;
            }
            else if (text[at] == '>')
            {
                depth--;
            }
        }

        return (text[..open], [.. arguments]);
    }

    private static Type Argument(string text)
    {
        (string name, Type[] arguments) = Split(text);
        Type type = FindType(name, arguments.Length);
        return arguments.Length == 0 ? type : type.MakeGenericType(arguments);
    }

    private static Type FindType(string name, int arguments)
    {
        string full = arguments == 0 ? name : $"{name}`{arguments}";
        return Rooms.Select(room => Home.GetType($"{room}.{full}")).FirstOrDefault(found => found is not null)
            ?? throw new InvalidOperationException($"{ListName}: there is no type {name}");
    }
}
